package policy

import "strings"

// Closest returns the word of known that word was most likely meant to be, or
// "" when none is near: at most a third of the letters may differ, where a
// letter in the wrong case counts as none and two swapped letters as one.
// Among equally near words the first wins.
func Closest(word string, known []string) string {
	best, bestDistance := "", len(word)/3+1
	if len(word) > 128 { // nobody meant that, and the distance costs length × length
		return ""
	}
	for _, k := range known {
		if k == word {
			return k
		}
		if d := distance(strings.ToLower(word), strings.ToLower(k), bestDistance); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete, replace or swap with
// their neighbour to turn a into b (optimal string alignment); it gives up and
// returns limit when the answer is limit or more.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return min(above[len(b)], limit)
}
