// Command cryftgo-node does what a Go node does with the sidecar, as the node developers' document has it: it
// checks the attestation, decides about its keys, saves them, and signs. The standard library is all it uses.
//
// Where the document contradicts itself, the contract says which reading holds: a signature is 0x hex although the
// samples decode it into []byte, and a saved key that the signer has lost is an error although the sample would
// generate another one.
//
// One JSON line on standard output says what came of it; the log and the reason of a failure (exit code 1) are on
// standard error.
package main

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"time"
)

// Config is what the node is told on its command line.
type Config struct {
	EnableSigner  bool
	Transport     string
	SocketPath    string
	HTTPAddr      string
	BinaryPath    string
	Web3SignerURL string
	VerifiedHash  string
	StateDir      string
	Attestation   []byte
	BlockRoot     []byte
	TLSPayload    []byte
}

// Signature is one signature and what it was asked for.
type Signature struct {
	Type      string `json:"type"`
	PublicKey string `json:"pubkey"`
	Signature string `json:"signature"`
}

// NodeIdentity holds all cryptographic identities for the node.
type NodeIdentity struct {
	NodeID        string       `json:"node_id"`
	BLSKey        *BLSKeyInfo  `json:"bls_key"`
	BLSAction     Action       `json:"bls_action"`
	TLSKey        *TLSKeyInfo  `json:"tls_key"`
	TLSAction     Action       `json:"tls_action"`
	Attestation   *Attestation `json:"attestation"`
	Signatures    []Signature  `json:"signatures"`
	InitializedAt int64        `json:"initialized_at"`
}

func main() {
	log.SetFlags(0)
	config := parseFlags()
	if !config.EnableSigner {
		log.Println("signer disabled (--cryfttee-signer=false): the node uses its local keystore")
		return
	}
	identity, err := run(config)
	if err != nil {
		log.Fatalf("node initialization failed: %v", err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(identity); err != nil {
		log.Fatalf("write the identity: %v", err)
	}
}

func parseFlags() *Config {
	config := &Config{}
	flag.BoolVar(&config.EnableSigner, "cryfttee-signer", false, "use the sidecar for BLS and TLS keys")
	flag.StringVar(&config.Transport, "cryfttee-transport", DefaultTransport, "uds or http")
	flag.StringVar(&config.SocketPath, "cryfttee-socket", DefaultSocketPath, "the sidecar's socket")
	flag.StringVar(&config.HTTPAddr, "cryfttee-http-addr", DefaultHTTPAddr, "the sidecar's address, with http")
	flag.StringVar(&config.BinaryPath, "cryfttee-binary", "", "measure and launch this sidecar; without it, one runs")
	flag.StringVar(&config.Web3SignerURL, "web3signer-url", DefaultWeb3SignerURL, "the signer, for a sidecar we launch")
	flag.StringVar(&config.VerifiedHash, "verified-hash", "", "what the running sidecar was measured as")
	flag.StringVar(&config.StateDir, "state-dir", "/var/lib/cryftgo", "folder of staking/ and keys/")
	hexVar(&config.Attestation, "attestation", "attestation to sign, hex")
	hexVar(&config.BlockRoot, "block-root", "block root to sign, hex")
	hexVar(&config.TLSPayload, "tls-payload", "bytes to sign with the TLS key, hex")
	flag.Parse()
	return config
}

func hexVar(into *[]byte, name, usage string) {
	flag.Func(name, usage, func(text string) (err error) {
		*into, err = hex.DecodeString(text)
		return err
	})
}

func run(config *Config) (*NodeIdentity, error) {
	manager, err := NewCryftteeManager(config)
	if err != nil {
		return nil, err
	}
	if config.BinaryPath != "" {
		if err := manager.Start(); err != nil {
			return nil, fmt.Errorf("failed to start cryfttee: %w", err)
		}
		defer manager.Stop()
	}
	identity, err := manager.InitializeNode()
	if err != nil {
		return nil, err
	}
	identity.Signatures, err = manager.signAll(identity)
	return identity, err
}

// InitializeNode goes from a sidecar that may be there to keys that are this node's.
func (m *CryftteeManager) InitializeNode() (*NodeIdentity, error) {
	if err := m.waitForReady(30 * time.Second); err != nil {
		return nil, err
	}
	attestation, err := m.VerifyAttestation()
	if err != nil {
		return nil, fmt.Errorf("attestation verification failed: %w", err)
	}
	status, err := m.VerifySignerReady()
	if err != nil {
		return nil, fmt.Errorf("Web3Signer not ready: %w", err)
	}
	identity, err := m.InitKeys(status)
	if err != nil {
		return nil, fmt.Errorf("key initialization failed: %w", err)
	}
	identity.Attestation = attestation
	identity.InitializedAt = time.Now().Unix()
	return identity, nil
}

func (m *CryftteeManager) signAll(identity *NodeIdentity) ([]Signature, error) {
	bls, tls := identity.BLSKey.PublicKey, identity.TLSKey.PublicKey
	var all []Signature
	for _, wanted := range []struct {
		endpoint, pubkey, kind string
		data                   []byte
	}{
		{"/v1/staking/bls/sign", bls, "ATTESTATION", m.config.Attestation},
		{"/v1/staking/bls/sign", bls, "BLOCK", m.config.BlockRoot},
		{"/v1/staking/tls/sign", tls, "", m.config.TLSPayload},
		{"/v1/staking/tls/sign", tls, "TLS_CSR", m.config.TLSPayload},
	} {
		signature, err := m.sign(wanted.endpoint, wanted.pubkey, wanted.data, wanted.kind)
		if err != nil {
			return nil, fmt.Errorf("signing %q failed: %w", wanted.kind, err)
		}
		all = append(all, Signature{Type: wanted.kind, PublicKey: wanted.pubkey, Signature: signature})
	}
	return all, nil
}
