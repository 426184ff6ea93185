package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"guestlist/server/admin"
)

// bind opens the listeners that cfg names; after an error none is open.
func (r *running) bind(cfg config) (err error) {
	defer func() {
		if err != nil {
			r.unbind()
		}
	}()
	if r.public, err = listen(cfg.Listen); err != nil {
		return err
	}
	if cfg.Admin.Socket != "" {
		if r.socket, err = admin.Listen(cfg.Admin.Socket); err != nil {
			return err
		}
	}
	if cfg.Admin.Listen == "" {
		return nil
	}
	if r.watched, err = r.app.watching(listensOnLoopback(cfg.Admin.Listen)); err != nil {
		return err
	}
	if r.watching, err = listen(cfg.Admin.Listen); err != nil {
		return fmt.Errorf("admin.listen: %w", err)
	}
	return nil
}

// unbind closes the listeners.
func (r *running) unbind() error {
	var errs []error
	for _, l := range []net.Listener{r.public, r.socket, r.watching} {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	return errors.Join(errs...)
}

// listen opens a listener on addr.
func listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%w. Remedy: stop what listens there, or listen elsewhere", err)
	}
	return l, err
}

// serveWatch serves the listener for monitoring, where there is one, and
// returns what stops it. What ends it is told to failed. On loopback it speaks
// HTTP in clear, elsewhere TLS with the server's certificate.
func (r running) serveWatch(failed chan<- error) (stop func(context.Context) error) {
	if r.watching == nil {
		return func(context.Context) error { return nil }
	}
	s := httpServer(r.watched, r.app.log)
	serve := func() error { return s.Serve(r.watching) }
	if r.certificate != nil && !listensOnLoopback(r.watching.Addr().String()) {
		s.TLSConfig = r.certificate.config()
		serve = func() error { return s.ServeTLS(r.watching, "", "") }
	}
	go func() { failed <- serve() }()
	return s.Shutdown
}
