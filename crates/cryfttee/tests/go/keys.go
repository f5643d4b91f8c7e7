package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log"
	"strings"
	"time"
)

// BLSKeyInfo is what the node keeps about its BLS key: keys/bls_key.json.
type BLSKeyInfo struct {
	PublicKey  string `json:"pubkey"`
	SecretPath string `json:"secret_path"`
	CreatedAt  int64  `json:"created_at"`
}

// TLSKeyInfo is what the node keeps about its TLS key: keys/tls_key.json.
type TLSKeyInfo struct {
	PublicKey   string `json:"pubkey"`
	NodeID      string `json:"node_id"`
	SecretPath  string `json:"secret_path"`
	Certificate string `json:"certificate"`
	CreatedAt   int64  `json:"created_at"`
}

// Action is a row of the document's table of key states.
type Action string

// The rows that are no error.
const (
	Generate Action = "generate"
	Adopt    Action = "adopt"
	Use      Action = "use"
)

// decide is that table. A key is never generated while one is saved.
func decide(kind string, available []string, saved string) (Action, error) {
	switch {
	case len(available) == 0 && saved == "":
		return Generate, nil
	case len(available) == 0:
		return "", fmt.Errorf("%s key %s was lost from Web3Signer: it has none. "+
			"This could indicate key loss or tampering", kind, saved)
	case saved == "":
		if len(available) > 1 {
			log.Printf("%d %s keys in Web3Signer and none saved: the first one is adopted", len(available), kind)
		}
		return Adopt, nil
	case contains(available, saved):
		return Use, nil
	default:
		return "", fmt.Errorf("%s key mismatch: expected %s but not found in Web3Signer (available: %v). "+
			"This could indicate key loss or tampering", kind, saved, available)
	}
}

// InitKeys decides about both keys before it does anything about either, so that a lost one makes no new one.
func (m *CryftteeManager) InitKeys(status *StakingStatus) (*NodeIdentity, error) {
	store, err := OpenStore(m.config.StateDir)
	if err != nil {
		return nil, err
	}
	savedBLS, savedTLS, err := store.Load()
	if err != nil {
		return nil, err
	}
	identity := &NodeIdentity{}
	if identity.BLSAction, err = decide("BLS", status.BLSPubkeys, savedBLS); err != nil {
		return nil, err
	}
	if identity.TLSAction, err = decide("TLS", status.TLSPubkeys, savedTLS); err != nil {
		return nil, err
	}
	if identity.BLSKey, err = m.initBLSKey(store, identity.BLSAction, status.BLSPubkeys, savedBLS); err != nil {
		return nil, err
	}
	if identity.TLSKey, err = m.initTLSKey(store, identity.TLSAction, status.TLSPubkeys, savedTLS); err != nil {
		return nil, err
	}
	identity.NodeID = identity.TLSKey.NodeID
	return identity, store.SaveNodeID(identity.NodeID)
}

func (m *CryftteeManager) initBLSKey(store *Store, action Action, available []string, saved string) (*BLSKeyInfo, error) {
	switch action {
	case Generate:
		key := &BLSKeyInfo{CreatedAt: time.Now().Unix()}
		if err := m.register("/v1/staking/bls/register", "BLS", "validator", key); err != nil {
			return nil, fmt.Errorf("BLS key generation failed: %w", err)
		}
		log.Printf("generated new BLS key: %s", key.PublicKey)
		return key, store.SaveBLS(key)
	case Adopt:
		key, err := store.BLSRecord(available[0])
		if err != nil {
			return nil, err
		}
		return key, store.SaveBLS(key)
	default:
		return store.BLSRecord(saved)
	}
}

func (m *CryftteeManager) initTLSKey(store *Store, action Action, available []string, saved string) (*TLSKeyInfo, error) {
	switch action {
	case Generate:
		key := &TLSKeyInfo{CreatedAt: time.Now().Unix()}
		if err := m.register("/v1/staking/tls/register", "SECP256K1", "node_tls", key); err != nil {
			return nil, fmt.Errorf("TLS key generation failed: %w", err)
		}
		var err error
		if key.NodeID, err = deriveNodeID(key.PublicKey); err != nil {
			return nil, err
		}
		log.Printf("generated new TLS key, NodeID: %s", key.NodeID)
		return key, store.SaveTLS(key)
	case Adopt:
		key, err := store.TLSRecord(available[0])
		if err != nil {
			return nil, err
		}
		return key, store.SaveTLS(key)
	default:
		return store.TLSRecord(saved)
	}
}

// register has a key made; its answer fills the fields of a key that have the same names.
func (m *CryftteeManager) register(endpoint, keyType, purpose string, key any) error {
	return m.callAPI("POST", endpoint, map[string]any{"key_type": keyType, "purpose": purpose}, key)
}

// deriveNodeID is the first 20 bytes of SHA-256 over the compressed public key.
func deriveNodeID(pubkey string) (string, error) {
	compressed, err := hex.DecodeString(strings.TrimPrefix(pubkey, "0x"))
	if err != nil || len(compressed) != 33 {
		return "", fmt.Errorf("%q is no compressed secp256k1 key", pubkey)
	}
	hash := sha256.Sum256(compressed)
	return "NodeID-" + hex.EncodeToString(hash[:20]), nil
}
