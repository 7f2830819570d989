package main

//	addresses -> what to try next, ready to paste (terminal), or one log line "ready" (anything else)

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/fleet"
)

// addresses is where everything answers.
type addresses struct{ data, portal, gateway, kafka, registry, clickhouse string }

// try says what to try next, with the program as it was called. Defaults are left out of the commands.
func (a addresses) try(program string, fleet bool) string {
	option := func(name, value, usual string) string {
		if value == usual {
			return ""
		}
		return " --" + name + " " + value
	}
	logAt := option("brokers", a.kafka, defaultBrokers[0]) + option("registry", a.registry, defaultRegistry)
	storeAt := option("clickhouse", a.clickhouse, defaultClickHouse)
	doctorAt := " --data " + a.data + option("url", a.gateway, defaultGateway)
	shown := "'SELECT client, device, metric, value FROM readings ORDER BY time DESC LIMIT 10'"
	if fleet {
		shown = "'SELECT client, uniq(device) AS devices, count() AS readings FROM readings GROUP BY client ORDER BY client'"
	}
	return fmt.Sprintf(`
Fieldlog is up. In a browser: %[10]s, where modules are ordered. From another terminal:

  curl %[1]s/v1/telemetry -d '{"client":"cliente02","device":"pump-7","readings":{"temperature":21.5,"running":true,"state":"ok"}}'
  %[8]s query%[2]s %[3]s
  %[8]s tail%[4]s --follow --client cliente02
  curl '%[5]s/?query=%[6]s'
  kcat -b %[7]s -t fieldlog.telemetry -C -c 1
  %[8]s doctor%[9]s%[4]s%[2]s

`, a.gateway, storeAt, shown, logAt, a.clickhouse, url.QueryEscape("SELECT * FROM fieldlog.devices LIMIT 5 FORMAT Vertical"), a.kafka, program, doctorAt, a.portal)
}

// reachable returns an address that a client on this machine can use for one that is listened on.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// welcome tells that everything answers.
func (p *program) welcome(a addresses, fleet bool, logger *slog.Logger, screen *liveLine) {
	logger.Info("ready", "gateway", a.gateway, "kafka", a.kafka, "registry", a.registry, "clickhouse", a.clickhouse, "portal", a.portal)
	if p.columns > 0 {
		fmt.Fprint(screen, a.try(p.name, fleet))
	}
}

// upFleet is the simulated devices of "fieldlog up": made when the gateway answers, with a past only where there is none yet.
type upFleet struct {
	cfg    fleet.Config
	log    *eventlog.Log
	logger *slog.Logger
	reg    prometheus.Registerer
}

// Run reports until ctx ends.
func (u *upFleet) Run(ctx context.Context) error {
	if u.cfg.Devices == 0 {
		return nil
	}
	empty, err := u.logIsEmpty(ctx)
	if err != nil {
		return err
	}
	if !empty {
		u.cfg.History = 0
	}
	devices, err := fleet.New(u.cfg, u.logger, u.reg)
	if err != nil {
		return err
	}
	return devices.Run(ctx)
}

func (u *upFleet) logIsEmpty(ctx context.Context) (bool, error) {
	ends, err := u.log.Ends(ctx, eventlog.TopicTelemetry)
	if err != nil {
		return false, err
	}
	for _, r := range ends {
		if r.Next > 0 {
			return false, nil
		}
	}
	return true, nil
}
