package authoring

import (
	"errors"
	"fmt"
	"time"

	"guestlist/broker"
)

// Never is the word for a row without end.
const Never = "never"

// Expiry turns what a person writes into the expires of a row: a date or a
// moment of RFC 3339 as it is, a duration such as 30d into the day or, with
// hours in it, the moment that far from now; Never into none. A row is over at
// the first moment of its day, UTC.
func Expiry(text string, now time.Time) (string, error) {
	switch text {
	case Never:
		return "", nil
	case "":
		return "", errors.New("a row says when trust in it ends. Remedy: --expires 90d, a date such as --expires " +
			now.AddDate(0, 3, 0).Format(time.DateOnly) + ", or --expires " + Never)
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if _, err := time.Parse(layout, text); err == nil {
			return text, nil
		}
	}
	d, err := broker.ParseDuration(text)
	if err != nil || d <= 0 {
		return "", fmt.Errorf("expires %.80q: want a date such as 2027-03-31, a moment of RFC 3339, a duration such as 90d, or %s", text, Never)
	}
	end := now.UTC().Add(time.Duration(d))
	if time.Duration(d)%(24*time.Hour) == 0 {
		return end.Format(time.DateOnly), nil
	}
	return end.Format(time.RFC3339), nil
}
