package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"guestlist/broker/decisionlog"
	"guestlist/server/admin"
)

// stopWithin is how long requests under way may take once the program is
// asked to stop.
const stopWithin = 10 * time.Second

// serveCommand runs the server.
func serveCommand() *cobra.Command {
	var configPath string
	var dev devFlags
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: "Run the server from a configuration file, or with --dev from nothing at all:\n" +
			"everything temporary, on loopback, with a demo client to play an admission with.\n\n" +
			"The names of the configuration file are in the README, \"Every name of the\n" +
			"configuration\"; a name or a value that means nothing is refused with its line.",
		Example: "  guestlist serve --dev\n" +
			"  guestlist serve --dev --policies guests\n" +
			"  guestlist serve --config guestlist.yaml",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if dev.on {
				if configPath != "" {
					return errors.New("--dev takes no configuration file: use one of --dev and --config")
				}
				return serveDev(c.Context(), dev, c.OutOrStdout(), c.ErrOrStderr())
			}
			if dev.used() || c.Flags().Changed("resource") {
				return errors.New("--listen, --policies, --resource, --map-host and --trust-ca go with --dev only; a configuration file has them as members")
			}
			path, err := findConfig(configPath)
			if err != nil {
				return err
			}
			return serveConfig(c.Context(), path, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	c.Flags().StringVar(&configPath, "config", "", "configuration file (or GUESTLIST_CONFIG)")
	dev.register(c.Flags())
	return c
}

// serveConfig runs the server that a configuration file describes.
func serveConfig(ctx context.Context, path string, stdout, stderr io.Writer) error {
	cfg, err := loadConfig(path)
	if err != nil {
		return err
	}
	level, err := zerolog.ParseLevel(cfg.Log.Level)
	if err != nil {
		return fmt.Errorf("%s: log.level: %w", path, err)
	}
	log := zerolog.New(decisionlog.Quiet{W: stderr}).Level(level).With().Timestamp().Logger()
	p, err := planFrom(cfg)
	if err != nil {
		return err
	}
	if p.exporters, err = exportersOf(cfg, p.fetching.RootCAs, stdout); err != nil {
		return err
	}
	run := running{}
	if cfg.TLS.CertFile != "" {
		if run.certificate, err = openCertificate(cfg.TLS.CertFile, cfg.TLS.KeyFile, time.Now, log); err != nil {
			return err
		}
	}
	a, err := open(ctx, p, log)
	if err != nil {
		return err
	}
	run.app = a
	if run.certificate != nil {
		run.certificate.reloaded = a.configReloaded
	}
	if err := run.bind(cfg); err != nil {
		return errors.Join(err, a.close(ctx))
	}
	if cfg.Policies.Watch {
		run.watch = cfg.Policies.Path
	}
	return run.until(ctx)
}

// running is an app with its listeners, which it owns.
type running struct {
	app         *app
	public      net.Listener
	socket      net.Listener // nil: no admin API
	watching    net.Listener // for monitoring; nil: none
	watched     http.Handler // what watching serves
	certificate *certificate // nil: no TLS of its own
	watch       string       // policy directory to watch; empty: none
}

// until serves until ctx is done or a listener fails, then stops gracefully:
// requests under way are answered, held records are written.
func (r running) until(ctx context.Context) error {
	log := r.app.log
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 3)
	public := httpServer(r.app.server, log)
	go func() { failed <- r.servePublic(public) }()
	var adminServer *http.Server
	if r.socket != nil {
		adminServer = httpServer(r.app.admin, log)
		adminServer.ConnContext = admin.ConnContext
		go func() { failed <- adminServer.Serve(r.socket) }()
	}
	stopWatch := r.serveWatch(failed)
	waits := []func(){r.app.export(ctx), r.app.notify(ctx)}
	go steadily(ctx, log, "sweep", func() { r.app.sweep(ctx) })
	go steadily(ctx, log, "retain", func() { r.app.retain(ctx) })
	go steadily(ctx, log, "room", func() { r.app.watchRoom(ctx) })
	look := &looker{store: r.app.store, broker: r.app.broker, every: r.app.plan.look, now: time.Now, log: log}
	go steadily(ctx, log, "look", func() { look.run(ctx) })
	r.app.reloadOn(ctx, r.watch)
	r.tellStart()
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	log.Info().Str("event", "server.stopping").Send()
	stop, done := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer done()
	err = errors.Join(err, public.Shutdown(stop), stopWatch(stop))
	if adminServer != nil {
		err = errors.Join(err, adminServer.Shutdown(stop))
		r.socket.Close() // where the server had not begun to serve it; removes the socket's file
	}
	err = errors.Join(err, r.app.batch.Flush(stop))
	cancel()
	for _, wait := range waits {
		wait()
	}
	err = errors.Join(err, r.app.close(stop))
	log.Info().Str("event", "server.stopped").Send()
	return err
}

// tellStart says that requests are served, and first what an operator must
// know about it.
func (r running) tellStart() {
	log := r.app.log
	if r.app.plan.insecure {
		log.Warn().Str("event", "server.insecure").Msg("for development only: an http issuer on loopback or an insecure host map; nothing here is safe for strangers")
	}
	if p := r.app.plan.fetching.Proxy; p.URL != "" {
		log.Info().Str("event", "server.egress_proxy").Str("url", p.URL).Str("guard", guardOf(p)).Send()
	}
	if r.watching != nil {
		log.Info().Str("event", "server.watched").Str("listen", r.watching.Addr().String()).Msg("/metrics and /readyz for whoever reaches it")
	}
	log.Info().Str("event", "server.started").Str("issuer", r.app.plan.issuer).Str("listen", r.public.Addr().String()).Send()
}

// servePublic serves the public listener, with TLS where it is configured.
func (r running) servePublic(s *http.Server) error {
	if r.certificate != nil {
		s.TLSConfig = r.certificate.config()
		return s.ServeTLS(r.public, "", "")
	}
	return s.Serve(r.public)
}

// httpServer bounds what one connection may hold.
func httpServer(h http.Handler, log zerolog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ErrorLog: stdlog.New(connectionLog{log}, "", 0), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 32 << 10,
	}
}

// reloadOn reloads policies and facts on SIGHUP, the policies also when
// something in dir changed, if it is set, and the facts when their file did, from
// its return until ctx is done.
func (a *app) reloadOn(ctx context.Context, dir string) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	changed, facts := watchDir(ctx, dir, a.log), watchFile(ctx, a.plan.facts)
	go func() {
		defer signal.Stop(hup)
		for {
			by := byWatch
			select {
			case <-ctx.Done():
				return
			case <-hup:
				by = "SIGHUP"
			case <-changed:
			case <-facts:
				guarded(a.log, "facts", func() { a.renew(ctx) })
				continue
			}
			guarded(a.log, "reload", func() { a.reload(ctx, by) }) // its outcome is logged and in the status
		}
	}()
}
