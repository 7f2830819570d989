package engines

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// registryPath is where Apicurio answers the Confluent API.
const registryPath = "/apis/ccompat/v7"

// newRegistry returns a registry that is not started. By itself this package keeps schemas in memory and hands ids out
// anew after every start; its database is told to keep them in a file, and to write each commit through (by default it
// gathers half a second of them).
func newRegistry(p packages, dir, addr string) (*Process, error) {
	dir = filepath.Join(dir, "registry")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make folder of the registry: %w", err)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("address of the registry: %w", err)
	}
	command := append(javaCommand(192),
		"-Dquarkus.http.host="+host, "-Dquarkus.http.port="+port,
		"-Dquarkus.datasource.jdbc.url=jdbc:h2:file:"+filepath.Join(dir, "schemas")+";WRITE_DELAY=0",
		"-Dquarkus.datasource.jdbc.initial-size=2", "-Dquarkus.datasource.jdbc.min-size=2", "-Dquarkus.datasource.jdbc.max-size=16",
		"-cp", filepath.Join(p.registry(), "*")+string(filepath.ListSeparator)+filepath.Join(p.registry(), "lib", "*"),
		"io.quarkus.runner.GeneratedMain")
	return &Process{name: "registry", dir: dir, log: filepath.Join(dir, "log"), command: command}, nil
}
