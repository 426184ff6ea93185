package policies

// Masks reports whether the set has admission.mask, which nobody but tests asks.
func (s *Set) Masks() bool { return s.mask != nil }
