package keys

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// Destroy puts a new key in the place of the one of purpose, which must be
// "pseudonym", and is used at once; the old one is gone for ever. Nobody can
// tell any more which person a pseudonym of before stands for, nor confirm a
// guess. A process that has the directory open besides this one goes on with
// the old key until it opens the directory again.
//
// The bytes of the old file are overwritten. What a file system, a device or a
// backup keeps of them is out of reach. An error says whether the key was
// replaced.
func (k *Keys) Destroy(purpose string) error {
	if purpose != purposePseudonym {
		return fmt.Errorf("no key of the purpose %.40q can be destroyed: %s alone; %s and %s are rotated", purpose, purposePseudonym, purposeSigning, purposeSealing)
	}
	var old *os.File
	err := k.pseudonym.update(func(_ []entry, now time.Time) ([]entry, error) {
		next, err := fresh(algSecret, now, now)
		if err == nil {
			old, err = os.OpenFile(k.pseudonym.path, os.O_WRONLY, 0)
		}
		return []entry{next}, err
	})
	if old != nil {
		defer old.Close()
	}
	if err != nil {
		return fmt.Errorf("destroy the %s key: %w", purpose, err)
	}
	k.takeSecret()
	if err := overwrite(old); err != nil {
		return fmt.Errorf("the %s key is replaced, but the bytes of the old one could not be overwritten: %w", purpose, err)
	}
	return nil
}

// overwrite puts zeros in the place of what a file holds.
func overwrite(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, info.Size()), 0)
	return errors.Join(err, f.Sync())
}

// takeSecret has pseudonyms made with the key of the set.
func (k *Keys) takeSecret() {
	secret := k.pseudonym.set.Load().inUse(algSecret, k.cfg.Now()).Key.Key.([]byte)
	k.secret.Store(&secret)
}
