package bolt

import (
	"context"
	"encoding/binary"

	"go.etcd.io/bbolt"
)

// ballastBucket holds what is put aside, each chunk in a bucket of its own. A
// file is complete with and without it, and other programs leave it alone.
const ballastBucket = "ballast"

// What is put aside are pages of the file, because nobody but the store can
// take those, while the room that a file beside it leaves when it is deleted
// goes to whatever filled the disk. A chunk is a bucket so that handing it out
// rewrites nothing but small pages: a full disk has few of them.
const (
	chunkBytes   = 64 << 10
	ballastShare = 32 // the part of the reserve that is put aside
	putAtOnce    = 16 // chunks that one transaction puts aside
)

// countBallast finds what a process before put aside.
func (s *Store) countBallast() {
	_ = s.read(context.Background(), func(v view) error { // else the next who touches it finds it
		s.ballast = chunks(v.tx.Bucket([]byte(ballastBucket))) * chunkBytes
		return nil
	})
}

// putAside fills the ballast up to its share of the reserve. Where that failed
// it is not tried again: the system has less room than it says.
func (s *Store) putAside(ctx context.Context) error {
	want := max(1, s.room.reserve.Load()/ballastShare/chunkBytes)
	for more := !s.room.failed.Load(); more; {
		err := s.submit(ctx, []op{{apply: func(t *txn) (err error) {
			more, err = t.putAside(want)
			return err
		}}})
		if err != nil {
			s.room.failed.Store(ctx.Err() == nil)
			return err
		}
	}
	return nil
}

// handOut makes free pages of what is put aside: few at first, because those
// are what the next transaction can write on.
func (s *Store) handOut(ctx context.Context) error {
	for n, left := 1, true; left; n *= 2 {
		if err := s.submit(ctx, handOut(n, &left)); err != nil {
			return err
		}
	}
	return nil
}

// giveWay is handOut for the committer. It reports whether there was anything.
func (s *Store) giveWay() (gave bool) {
	for n, left := 1, s.ballast > 0; left; n *= 2 {
		batch := []*request{{ops: handOut(n, &left)}}
		if _, err := s.run(batch, make([]error, 1)); err != nil {
			return gave
		}
		gave = true
	}
	return gave
}

// handOut hands out up to n chunks, and says whether some are left.
func handOut(n int, left *bool) []op {
	return []op{{apply: func(t *txn) (err error) {
		*left, err = t.handOut(n)
		return err
	}}}
}

// putAside adds a few chunks, and says whether more are wanted.
func (t *txn) putAside(want int64) (more bool, err error) {
	bk := t.tx.Bucket([]byte(ballastBucket))
	have := chunks(bk)
	if have >= want {
		return false, nil
	}
	t.wrote = true
	if bk == nil {
		if bk, err = t.tx.CreateBucket([]byte(ballastBucket)); err != nil {
			return false, err
		}
	}
	for range putAtOnce {
		if have == want {
			break
		}
		chunk, err := bk.CreateBucket(chunkKey(have))
		if err == nil {
			err = chunk.Put([]byte("room"), make([]byte, chunkBytes))
		}
		if err != nil {
			return false, err
		}
		have++
	}
	t.ballast = have * chunkBytes
	return have < want, nil
}

// handOut drops up to n chunks, and says whether some are left.
func (t *txn) handOut(n int) (left bool, err error) {
	bk := t.tx.Bucket([]byte(ballastBucket))
	have := chunks(bk)
	for ; n > 0 && have > 0; n-- {
		t.wrote = true
		have--
		if err := bk.DeleteBucket(chunkKey(have)); err != nil {
			return false, err
		}
	}
	t.ballast = have * chunkBytes
	return have > 0, nil
}

// chunks is how many chunks are put aside.
func chunks(bk *bbolt.Bucket) (n int64) {
	if bk == nil {
		return 0
	}
	k, _ := bk.Cursor().Last()
	if len(k) != len(chunkKey(0)) {
		return 0
	}
	return int64(binary.BigEndian.Uint32(k)) + 1
}

// chunkKey names the chunk of that number.
func chunkKey(n int64) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
