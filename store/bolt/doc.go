// Package bolt keeps the storage contract in one bbolt file.
//
// One goroutine commits. It takes every unit that waits, applies them in one
// bbolt transaction and syncs once; there is no timer, so one writer pays one
// sync and many writers share it. Reads are short views; none is held between
// two calls, because an open reader makes the file grow and can stall the
// writer.
//
// The file holds one bucket per kind of row. Every value begins with a format
// version and a CRC-32C over bucket, key and value, so that a flipped bit is
// an error that names the row and never a wrong answer: pages of bbolt carry
// no checksum of their own. A missing key cannot be told from a damaged one;
// a damaged key inside a range that is read in order is noticed.
//
// The document of a client is kept once, under its hash, however many rows
// refer to it, and so is a file of policy bundles, compressed: a revision takes
// what differs from those before it, and about 100 bytes for each of its files. Records are compressed with a dictionary of what records have
// in common.
//
// The file belongs to one process at a time. Panics and memory faults inside
// bbolt, as a damaged page can cause, become errors; one that hits the
// committer stops all writing until the store is opened again.
package bolt
