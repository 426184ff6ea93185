// Package authoring works on a policy directory as a team keeps it under
// version control: it writes a first one, lays its files out and edits its
// lists. Nothing here decides: what a directory means is said by package
// policies, and every edit is loaded there before it stays.
//
// Files are replaced whole (a new file, then a rename), so that a server that
// watches the directory sees the old one or the new one. Two editors of one
// directory take turns by a lock on the directory itself.
package authoring
