package secretstore

// At has Migrate call f at each step.
func (s *Store) At(f func(step string)) { s.at = f }
