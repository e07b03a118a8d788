package store

// Regional has the records that a service keeps in each Region. The zero
// Regional is empty.
type Regional[T any] map[string]*T

// In returns what region has, for reading: an empty T where it has nothing.
func (r Regional[T]) In(region string) *T {
	if t := r[region]; t != nil {
		return t
	}
	return new(T)
}

// Make returns what region has, for writing. The caller holds the write lock.
func (r *Regional[T]) Make(region string) *T {
	if *r == nil {
		*r = Regional[T]{}
	}
	t := (*r)[region]
	if t == nil {
		t = new(T)
		(*r)[region] = t
	}
	return t
}
