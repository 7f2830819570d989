package engines

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// clusterID is any UUID in Kafka's spelling: each cluster has its own ports and folders.
const clusterID = "4L6g3nShT-eMCtK--X86sw"

// addresses are those of one broker.
type addresses struct {
	client         string // for clients, where it listens
	advertised     string // for clients, where they are sent
	peer           string // for other brokers, where it listens
	peerAdvertised string // for other brokers, where they are sent
	controller     string
}

// broker is a Kafka process with its addresses.
type broker struct {
	Process
	addresses
}

// newBroker returns a broker that is not started. Brokers count from 0; their node ids from 1.
func newBroker(p packages, dir string, n int, all []addresses, settings map[string]string) (*broker, error) {
	dir = filepath.Join(dir, fmt.Sprintf("broker%d", n))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make folder of broker %d: %w", n, err)
	}
	properties := filepath.Join(dir, "server.properties")
	err := writeProperties(properties, brokerSettings(dir, n, all, settings))
	if err == nil {
		err = writeProperties(filepath.Join(dir, "log4j2.properties"), logSettings)
	}
	if err != nil {
		return nil, fmt.Errorf("configure broker %d: %w", n, err)
	}
	return &broker{addresses: all[n], Process: Process{
		name: fmt.Sprintf("broker %d", n), dir: dir, log: filepath.Join(dir, "log"),
		command: kafkaCommand(p, dir, "kafka.Kafka", properties),
	}}, nil
}

// format prepares the broker's empty data folder.
func (b *broker) format(ctx context.Context, p packages) error {
	args := kafkaCommand(p, b.dir, "kafka.tools.StorageTool", "format", "--cluster-id", clusterID, "--config", filepath.Join(b.dir, "server.properties"))
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("format %s: %w\n%s", b.name, err, out)
	}
	return nil
}

// kafkaCommand runs a class of Kafka's in a small heap that starts quickly.
func kafkaCommand(p packages, dir, class string, args ...string) []string {
	java := append(javaCommand(320), "-Dlog4j2.configurationFile="+filepath.Join(dir, "log4j2.properties"), "-cp", filepath.Join(p.kafka(), "*"), class)
	return append(java, args...)
}

// javaCommand runs Java with few threads and a bounded heap (MiB): tests are short, and many processes share the machine.
func javaCommand(heap int) []string {
	return []string{"java", fmt.Sprintf("-Xmx%dm", heap), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"}
}

// brokerSettings are server.properties: what one would run, but for times and sizes that suit a test on a small machine.
func brokerSettings(dir string, n int, all []addresses, settings map[string]string) map[string]string {
	voters := make([]string, len(all))
	for i, a := range all {
		voters[i] = fmt.Sprintf("%d@%s", i+1, a.controller)
	}
	own := all[n]
	config := map[string]string{
		"process.roles":                                    "broker,controller",
		"node.id":                                          fmt.Sprint(n + 1),
		"controller.quorum.voters":                         strings.Join(voters, ","),
		"listeners":                                        fmt.Sprintf("CLIENT://%s,PEER://%s,CONTROLLER://%s", own.client, own.peer, own.controller),
		"advertised.listeners":                             fmt.Sprintf("CLIENT://%s,PEER://%s", own.advertised, own.peerAdvertised),
		"listener.security.protocol.map":                   "CLIENT:PLAINTEXT,PEER:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"inter.broker.listener.name":                       "PEER",
		"controller.listener.names":                        "CONTROLLER",
		"log.dirs":                                         filepath.Join(dir, "data"),
		"auto.create.topics.enable":                        "false",
		"default.replication.factor":                       "3",
		"min.insync.replicas":                              "2",
		"offsets.topic.replication.factor":                 "3",
		"offsets.topic.num.partitions":                     "6",
		"transaction.state.log.replication.factor":         "3",
		"transaction.state.log.min.isr":                    "2",
		"transaction.state.log.num.partitions":             "6",
		"share.coordinator.state.topic.replication.factor": "3",
		"group.initial.rebalance.delay.ms":                 "0",
		"group.min.session.timeout.ms":                     "500",
		"broker.session.timeout.ms":                        "6000", // how long a killed leader is missed
		"log.cleaner.dedupe.buffer.size":                   "8388608",
		"log.segment.bytes":                                "67108864",
	}
	maps.Copy(config, settings)
	return config
}

// logSettings let Kafka log to its standard output.
var logSettings = map[string]string{
	"appender.out.type":            "Console",
	"appender.out.name":            "out",
	"appender.out.layout.type":     "PatternLayout",
	"appender.out.layout.pattern":  "%d{ISO8601} %p %c{1} %m%n",
	"rootLogger.level":             "INFO",
	"rootLogger.appenderRef.o.ref": "out",
}

func writeProperties(path string, properties map[string]string) error {
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		fmt.Fprintf(&text, "%s=%s\n", key, properties[key])
	}
	return os.WriteFile(path, []byte(text.String()), 0o644)
}
