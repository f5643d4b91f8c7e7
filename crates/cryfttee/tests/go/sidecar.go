package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

// The defaults that node and sidecar share.
const (
	DefaultTransport     = "uds"
	DefaultSocketPath    = "/var/run/cryfttee.sock"
	DefaultHTTPAddr      = "127.0.0.1:8787"
	DefaultWeb3SignerURL = "http://localhost:9000"
)

// CryftteeManager talks to one sidecar.
type CryftteeManager struct {
	config       *Config
	verifiedHash string
	process      *exec.Cmd
	httpClient   *http.Client
	baseURL      string
}

// StakingStatus is the answer to GET /v1/staking/status.
type StakingStatus struct {
	Ready         bool     `json:"ready"`
	Web3SignerURL string   `json:"web3signer_url"`
	Web3SignerOK  bool     `json:"web3signer_connected"`
	BLSPubkeys    []string `json:"bls_pubkeys"`
	TLSPubkeys    []string `json:"tls_pubkeys"`
	ModuleVersion string   `json:"module_version"`
	Capabilities  []string `json:"capabilities"`
}

// Attestation is the answer to GET /v1/runtime/attestation.
type Attestation struct {
	CoreBinaryHash  string   `json:"core_binary_hash"`
	CryftteeVersion string   `json:"cryfttee_version"`
	ManifestHash    string   `json:"manifest_hash"`
	LoadedModules   []string `json:"loaded_modules"`
}

// NewCryftteeManager connects over the configured transport.
func NewCryftteeManager(config *Config) (*CryftteeManager, error) {
	m := &CryftteeManager{config: config, verifiedHash: config.VerifiedHash}
	switch config.Transport {
	case "uds":
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", config.SocketPath)
		}
		m.httpClient = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DialContext: dial}}
		// A placeholder: the socket does the routing.
		m.baseURL = "http://localhost"
	case "http":
		m.httpClient = &http.Client{Timeout: 30 * time.Second}
		m.baseURL = "http://" + config.HTTPAddr
	default:
		return nil, fmt.Errorf("unknown transport: %s (must be 'uds' or 'http')", config.Transport)
	}
	return m, nil
}

// Start measures the sidecar's binary and launches it with what it measured.
func (m *CryftteeManager) Start() error {
	data, err := os.ReadFile(m.config.BinaryPath)
	if err != nil {
		return fmt.Errorf("failed to read cryfttee binary: %w", err)
	}
	m.verifiedHash = fmt.Sprintf("sha256:%x", sha256.Sum256(data))
	m.process = exec.Command(m.config.BinaryPath)
	m.process.Env = append(os.Environ(),
		"CRYFTTEE_VERIFIED_BINARY_HASH="+m.verifiedHash,
		"CRYFTTEE_API_TRANSPORT="+m.config.Transport,
		"CRYFTTEE_UDS_PATH="+m.config.SocketPath,
		"CRYFTTEE_HTTP_ADDR="+m.config.HTTPAddr,
		"CRYFTTEE_WEB3SIGNER_URL="+m.config.Web3SignerURL,
	)
	m.process.Stderr = os.Stderr
	return m.process.Start()
}

// Stop ends a sidecar that Start launched, and says so where it does not end well.
func (m *CryftteeManager) Stop() {
	if err := m.verifyRunningBinary(); err != nil {
		log.Printf("re-verification failed: %v", err)
	}
	if err := m.process.Process.Signal(os.Interrupt); err != nil {
		log.Printf("stop cryfttee: %v", err)
	}
	if err := m.process.Wait(); err != nil {
		log.Printf("cryfttee ended badly: %v", err)
	}
}

// verifyRunningBinary hashes what runs, not what stands at the path.
func (m *CryftteeManager) verifyRunningBinary() error {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/exe", m.process.Process.Pid))
	if err != nil {
		return fmt.Errorf("failed to read running binary: %w", err)
	}
	if actual := fmt.Sprintf("sha256:%x", sha256.Sum256(data)); actual != m.verifiedHash {
		return fmt.Errorf("running binary hash mismatch: expected %s, got %s", m.verifiedHash, actual)
	}
	return nil
}

// callAPI makes a request; what is not a success is an error that has the sidecar's words.
func (m *CryftteeManager) callAPI(method, endpoint string, request, answer any) error {
	var body io.Reader
	if request != nil {
		encoded, err := json.Marshal(request)
		if err != nil {
			return err
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequest(method, m.baseURL+endpoint, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := m.httpClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("%s (HTTP %d): %s", endpoint, resp.StatusCode, bytes.TrimSpace(text))
	}
	return json.Unmarshal(text, answer)
}

func (m *CryftteeManager) waitForReady(timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	for {
		var status StakingStatus
		err := m.callAPI("GET", "/v1/staking/status", nil, &status)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("timeout waiting for cryfttee to be ready: %w", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// VerifyAttestation compares what the sidecar says of itself with what was measured.
func (m *CryftteeManager) VerifyAttestation() (*Attestation, error) {
	var attestation Attestation
	if err := m.callAPI("GET", "/v1/runtime/attestation", nil, &attestation); err != nil {
		return nil, err
	}
	if attestation.CoreBinaryHash != m.verifiedHash {
		return nil, fmt.Errorf("hash mismatch: expected %s, got %s", m.verifiedHash, attestation.CoreBinaryHash)
	}
	return &attestation, nil
}

// VerifySignerReady checks that the signer is there and can do what the node needs.
func (m *CryftteeManager) VerifySignerReady() (*StakingStatus, error) {
	var status StakingStatus
	if err := m.callAPI("GET", "/v1/staking/status", nil, &status); err != nil {
		return nil, fmt.Errorf("failed to get staking status: %w", err)
	}
	if !status.Ready {
		return nil, fmt.Errorf("staking module not ready")
	}
	if !status.Web3SignerOK {
		return nil, fmt.Errorf("Web3Signer not connected (url: %s)", status.Web3SignerURL)
	}
	for _, required := range []string{"bls_signing", "tls_signing", "key_generation"} {
		if !contains(status.Capabilities, required) {
			return nil, fmt.Errorf("missing required capability: %s", required)
		}
	}
	log.Printf("Web3Signer ready: %s (module v%s)", status.Web3SignerURL, status.ModuleVersion)
	return &status, nil
}

// sign asks for a signature over data, which encoding/json sends as base64. The answer is 0x hex.
func (m *CryftteeManager) sign(endpoint, pubkey string, data []byte, kind string) (string, error) {
	request := map[string]any{"pubkey": pubkey, "data": data}
	if kind != "" {
		request["type"] = kind
	}
	var answer struct {
		Signature string `json:"signature"`
	}
	if err := m.callAPI("POST", endpoint, request, &answer); err != nil {
		return "", err
	}
	if !strings.HasPrefix(answer.Signature, "0x") {
		return "", fmt.Errorf("%s answered no signature: %q", endpoint, answer.Signature)
	}
	return answer.Signature, nil
}

func contains(all []string, wanted string) bool {
	for _, one := range all {
		if one == wanted {
			return true
		}
	}
	return false
}
