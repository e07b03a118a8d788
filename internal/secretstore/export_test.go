package secretstore

// At has f called at each step of a move, and before a prompt of the keyring.
func (s *Store) At(f func(step string)) { s.at = f }
