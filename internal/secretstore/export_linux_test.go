package secretstore

// UseBus has s go by the keyring on another bus than this process's session.
func (s *Store) UseBus(address string) {
	d := &desktop{}
	if s.cfg.Note != nil {
		d.Ask = s.prompted
	}
	d.Bus = address
	s.cfg.System = d
}
