package servertest

import (
	"guestlist/broker"
	"guestlist/server"
	"guestlist/store/bolt"
)

// Observer is told what a test server does, as the program's metrics and
// traces are.
type Observer struct {
	Broker  broker.Observer
	Server  server.Observer
	Commits func(bolt.Committed)
}
