//go:build kubernetes

// Package clustertest runs Kubernetes' own control plane for tests: etcd, kube-apiserver, controller manager and scheduler,
// built from their modules by `make test-kubernetes`. Nodes are simulated: no container runs, but pods are scheduled, become ready,
// end, fail to pull and crash as their image says, see [End], [Pull] and [Crash].
package clustertest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/fieldlog/fieldlog/internal/freeport"
	"github.com/fieldlog/fieldlog/internal/pause"
)

// EnvPrograms names the folder of the control plane's programs.
const EnvPrograms = "FIELDLOG_TEST_CONTROLPLANE"

// Tokens of the three users there are.
const (
	adminToken       = "admin-of-the-test-cluster"
	provisionerToken = "provisioner-of-the-test-cluster"
	helmToken        = "helm-of-the-test-cluster"
)

// Provisioner and Helm are the users whose rights the provisioner's tests have; RBAC gives them.
const (
	Provisioner = "fieldlog-provisioner"
	Helm        = "fieldlog-provisioner-helm"
)

// Cluster is a running control plane. It ends with the test.
type Cluster struct {
	// Admin may do everything.
	Admin *kubernetes.Clientset
	// AdminConfig, ProvisionerConfig and HelmConfig are kubeconfig files.
	AdminConfig, ProvisionerConfig, HelmConfig string

	dir, url string
}

// Start starts a control plane with one simulated node, and returns when a pod could run.
func Start(t testing.TB) *Cluster {
	t.Helper()
	programs := os.Getenv(EnvPrograms)
	if programs == "" {
		t.Fatalf("%s names no folder: run make test-kubernetes", EnvPrograms)
	}
	dir := t.TempDir()
	free, err := freeport.Addresses(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(free[2])
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{dir: dir, url: "https://" + free[2]}
	c.writeKeys(t)
	etcd := "http://" + free[0]
	run(t, dir, "etcd", filepath.Join(programs, "etcd"), "--data-dir", filepath.Join(dir, "etcd"),
		"--listen-client-urls", etcd, "--advertise-client-urls", etcd,
		"--listen-peer-urls", "http://"+free[1], "--unsafe-no-fsync", "--log-level", "warn")
	plane := filepath.Join(programs, "controlplane")
	run(t, dir, "apiserver", plane, "apiserver", "--etcd-servers", etcd, "--bind-address", "127.0.0.1",
		"--secure-port", port, "--cert-dir", filepath.Join(dir, "certs"), "--token-auth-file", filepath.Join(dir, "tokens"),
		"--authorization-mode", "RBAC", "--service-account-issuer", "https://kubernetes.default.svc",
		"--service-account-key-file", filepath.Join(dir, "sa.pem"), "--service-account-signing-key-file", filepath.Join(dir, "sa.pem"),
		"--service-cluster-ip-range", "10.0.0.0/24", "--audit-policy-file", filepath.Join(dir, "audit.yaml"),
		"--audit-log-path", c.AuditLog(), "--audit-log-mode", "blocking", "--enable-priority-and-fairness=false")
	c.AdminConfig = c.writeConfig(t, "admin", adminToken)
	c.ProvisionerConfig = c.writeConfig(t, "provisioner", provisionerToken)
	c.HelmConfig = c.writeConfig(t, "helm", helmToken)
	c.connect(t)
	run(t, dir, "controller-manager", plane, "controller-manager", "--kubeconfig", c.AdminConfig, "--leader-elect=false",
		"--service-account-private-key-file", filepath.Join(dir, "sa.pem"), "--secure-port", "0")
	run(t, dir, "scheduler", plane, "scheduler", "--kubeconfig", c.AdminConfig, "--leader-elect=false", "--secure-port", "0")
	startNode(t, c.Admin, "node-1")
	return c
}

// AuditLog returns the file in which the API server notes every request.
func (c *Cluster) AuditLog() string { return filepath.Join(c.dir, "audit.log") }

func (c *Cluster) writeKeys(t testing.TB) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	c.write(t, "sa.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	c.write(t, "tokens", adminToken+",admin,1,system:masters\n"+provisionerToken+","+Provisioner+",2\n"+helmToken+","+Helm+",3\n")
	c.write(t, "audit.yaml", "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n- level: Metadata\n  users: ["+Provisioner+", "+Helm+"]\n- level: None\n")
}

func (c *Cluster) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (c *Cluster) writeConfig(t testing.TB, name, token string) string {
	t.Helper()
	cfg := clientcmdapi.NewConfig()
	// The server makes its certificate itself; its file is there once it listens.
	cfg.Clusters["test"] = &clientcmdapi.Cluster{Server: c.url, CertificateAuthority: filepath.Join(c.dir, "certs", "apiserver.crt")}
	cfg.AuthInfos["user"] = &clientcmdapi.AuthInfo{Token: token}
	cfg.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: "user"}
	cfg.CurrentContext = "test"
	path := filepath.Join(c.dir, name+".kubeconfig")
	if err := clientcmd.WriteToFile(*cfg, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// connect waits until the API server is ready.
func (c *Cluster) connect(t testing.TB) {
	t.Helper()
	var last error
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); pause.For(t.Context(), 200*time.Millisecond) {
		cfg, err := clientcmd.BuildConfigFromFlags("", c.AdminConfig)
		if err != nil {
			last = err
			continue
		}
		if c.Admin, err = kubernetes.NewForConfig(cfg); err != nil {
			last = err
			continue
		}
		if _, last = c.Admin.RESTClient().Get().AbsPath("/readyz").DoRaw(t.Context()); last == nil {
			return
		}
	}
	t.Fatalf("the API server is not ready: %v\n%s", last, c.log("apiserver"))
}

// Config returns how to reach the API server as the administrator.
func (c *Cluster) Config(t testing.TB) *rest.Config {
	t.Helper()
	cfg, err := clientcmd.BuildConfigFromFlags("", c.AdminConfig)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// Requests counts what the provisioners have asked of the API server so far, by verb.
func (c *Cluster) Requests(t testing.TB) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, r := range c.audited(t) {
		counts[r.Verb]++
	}
	return counts
}

// Forbidden returns what the provisioners had no right to, a text each.
func (c *Cluster) Forbidden(t testing.TB) (all []string) {
	t.Helper()
	for _, r := range c.audited(t) {
		if r.ResponseStatus.Code == http.StatusForbidden && !strings.Contains(r.ResponseStatus.Message, "being terminated") {
			all = append(all, fmt.Sprint(r.User.Username, " ", r.Verb, " ", r.RequestURI, " ", r.ResponseStatus.Message))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// request is a line of the audit log.
type request struct {
	Verb, RequestURI string
	User             struct{ Username string }
	ResponseStatus   struct {
		Code    int
		Message string
	}
}

func (c *Cluster) audited(t testing.TB) (all []request) {
	t.Helper()
	text, err := os.ReadFile(c.AuditLog())
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("read the audit log: %v", err)
		}
		all = append(all, r)
	}
	return all
}

// WaitForRights returns once the API server has taken note of a right that a user was given.
func (c *Cluster) WaitForRights(t testing.TB, user string, right authorizationv1.ResourceAttributes) {
	t.Helper()
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &right}}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); pause.For(t.Context(), 50*time.Millisecond) {
		answer, err := c.Admin.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
		if err == nil && answer.Status.Allowed {
			return
		}
	}
	t.Fatalf("%s was not given %v", user, right)
}

func (c *Cluster) log(part string) string {
	text, err := os.ReadFile(filepath.Join(c.dir, part+".log"))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

// run starts a program that ends with the test.
func run(t testing.TB, dir, name, program string, args ...string) {
	t.Helper()
	out, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), program, args...) // it outlives the test's context, until it is cleaned up
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, dir
	dieWithTest(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = out.Close()
	})
}
