package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"strings"
	"syscall"
)

// What a meta page and the head of a page of bbolt hold, in the byte order of
// the machine. bbolt tells the number of free pages only where it counts every
// read, which would make each of them dearer.
const (
	pageHead     = 16 // id, flags, count, overflow
	pageCountAt  = 10 // 16 bits; manyIDs: the count stands in front of the ids
	metaPageSize = 8
	metaFreelist = 32 // page of the free list
	metaEnd      = 40 // pages in use or free; behind them nothing was written
	metaTx       = 48
	metaSum      = 56 // of what stands before it
	metaLen      = 64
	manyIDs      = 0xffff
	noFreelist   = ^uint64(0)
)

// inside is what a file has room for within its present length.
type inside struct {
	free int64 // bytes of pages that are free
	end  int64 // behind the last page that was ever in use
}

// readInside reads from f, in which nobody writes meanwhile, what its last
// commit left.
func readInside(f io.ReaderAt) (inside, error) {
	m, err := lastMeta(f)
	if err != nil {
		return inside{}, err
	}
	size := int64(binary.NativeEndian.Uint32(m[metaPageSize:]))
	out := inside{end: int64(binary.NativeEndian.Uint64(m[metaEnd:])) * size}
	list := binary.NativeEndian.Uint64(m[metaFreelist:])
	if list == noFreelist {
		return out, nil
	}
	var head [pageHead + 8]byte
	if _, err := f.ReadAt(head[:], int64(list)*size); err != nil {
		return inside{}, fmt.Errorf("read the free list: %w", err)
	}
	n := uint64(binary.NativeEndian.Uint16(head[pageCountAt:]))
	if n == manyIDs {
		n = binary.NativeEndian.Uint64(head[pageHead:])
	}
	out.free = int64(n) * size
	return out, nil
}

// lastMeta is the sound one of the two metas that was written last.
func lastMeta(f io.ReaderAt) ([]byte, error) {
	var last []byte
	size := int64(os.Getpagesize()) // what bbolt makes files with; the first meta knows better
	for _, page := range []int64{0, 1} {
		m := make([]byte, metaLen)
		if _, err := f.ReadAt(m, page*size+pageHead); err != nil {
			return nil, fmt.Errorf("read meta page %d: %w", page, err)
		}
		sum := fnv.New64a()
		sum.Write(m[:metaSum])
		if sum.Sum64() != binary.NativeEndian.Uint64(m[metaSum:]) {
			continue
		}
		size = int64(binary.NativeEndian.Uint32(m[metaPageSize:]))
		if last == nil || binary.NativeEndian.Uint64(m[metaTx:]) > binary.NativeEndian.Uint64(last[metaTx:]) {
			last = m
		}
	}
	if last == nil {
		return nil, errors.New("neither meta page is sound")
	}
	return last, nil
}

// measure says how many bytes can still be written: what is free in the file,
// what the file system has, as far as the process may let the file grow, and
// what is held in reserve within the file. The size is the file system's. Zero
// and zero: the system does not say.
func (s *Store) measure() (free, size int64, err error) {
	in, err := readInside(s.file)
	if err != nil {
		return 0, 0, err
	}
	disk := s.room.disk
	if disk == nil {
		disk = func() (free, size int64, err error) { return statfs(s.file) }
	}
	outside, size, err := disk()
	if err != nil || size == 0 {
		return 0, 0, err
	}
	info, err := s.file.Stat()
	if err != nil {
		return 0, 0, err
	}
	if limit, ok := fileLimit(); ok {
		// bbolt makes the file longer in steps, or not at all.
		outside = min(outside, max(min(info.Size(), limit), limit-int64(s.db.AllocSize))-in.end)
	}
	return in.free + max(outside, 0) + s.ballast, size, nil
}

// noRoom reports whether a commit failed because the file could not grow. bbolt
// keeps only the words of some errors.
func noRoom(err error) bool {
	for _, no := range []syscall.Errno{syscall.ENOSPC, syscall.EFBIG, syscall.EDQUOT} {
		if errors.Is(err, no) || err != nil && strings.Contains(err.Error(), no.Error()) {
			return true
		}
	}
	return false
}
