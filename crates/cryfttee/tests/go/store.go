package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

var (
	blsPattern    = regexp.MustCompile(`^0x[0-9a-f]{96}$`)
	tlsPattern    = regexp.MustCompile(`^0x0[23][0-9a-f]{64}$`)
	nodeIDPattern = regexp.MustCompile(`^NodeID-[0-9a-f]{40}$`)
)

// Store is the node's folder: staking/{bls_pubkey,tls_pubkey,node_id} and keys/{bls_key,tls_key}.json.
type Store struct {
	root string
}

// OpenStore makes the folders where they are missing.
func OpenStore(root string) (*Store, error) {
	for _, name := range []string{"staking", "keys"} {
		if err := os.MkdirAll(filepath.Join(root, name), 0o700); err != nil {
			return nil, err
		}
	}
	return &Store{root: root}, nil
}

// Load returns the saved public keys, empty where there are none. A file that is there and damaged is an error:
// taken for "no key", it would give the node another identity.
func (s *Store) Load() (bls, tls string, err error) {
	if bls, err = s.line("staking/bls_pubkey", blsPattern); err != nil {
		return "", "", err
	}
	if tls, err = s.line("staking/tls_pubkey", tlsPattern); err != nil {
		return "", "", err
	}
	id, err := s.line("staking/node_id", nodeIDPattern)
	if err != nil || id == "" || tls == "" {
		return bls, tls, err
	}
	if derived, err := deriveNodeID(tls); err != nil || derived != id {
		return "", "", fmt.Errorf("staking/node_id is %s, but the saved TLS key gives %s", id, derived)
	}
	return bls, tls, nil
}

// SaveBLS writes the record first and the key last: with the key saved, everything is.
func (s *Store) SaveBLS(key *BLSKeyInfo) error {
	if !blsPattern.MatchString(key.PublicKey) {
		return fmt.Errorf("%q is no BLS public key", key.PublicKey)
	}
	if err := s.writeJSON("keys/bls_key.json", key); err != nil {
		return err
	}
	return s.write("staking/bls_pubkey", []byte(key.PublicKey+"\n"))
}

// SaveTLS does the same for a TLS key.
func (s *Store) SaveTLS(key *TLSKeyInfo) error {
	if !tlsPattern.MatchString(key.PublicKey) {
		return fmt.Errorf("%q is no compressed secp256k1 public key", key.PublicKey)
	}
	if err := s.writeJSON("keys/tls_key.json", key); err != nil {
		return err
	}
	return s.write("staking/tls_pubkey", []byte(key.PublicKey+"\n"))
}

// SaveNodeID saves the Node ID.
func (s *Store) SaveNodeID(id string) error {
	return s.write("staking/node_id", []byte(id+"\n"))
}

// BLSRecord is what is known of pubkey: its record, or a new one where it has none.
func (s *Store) BLSRecord(pubkey string) (*BLSKeyInfo, error) {
	key := &BLSKeyInfo{}
	if found, err := s.readJSON("keys/bls_key.json", key); err != nil || found && key.PublicKey == pubkey {
		return key, err
	}
	return &BLSKeyInfo{PublicKey: pubkey, CreatedAt: time.Now().Unix()}, nil
}

// TLSRecord does the same for a TLS key.
func (s *Store) TLSRecord(pubkey string) (*TLSKeyInfo, error) {
	key := &TLSKeyInfo{}
	if found, err := s.readJSON("keys/tls_key.json", key); err != nil || found && key.PublicKey == pubkey {
		return key, err
	}
	id, err := deriveNodeID(pubkey)
	return &TLSKeyInfo{PublicKey: pubkey, NodeID: id, CreatedAt: time.Now().Unix()}, err
}

func (s *Store) line(name string, pattern *regexp.Regexp) (string, error) {
	data, err := os.ReadFile(filepath.Join(s.root, name))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	line := strings.TrimSuffix(string(data), "\n")
	if !pattern.MatchString(line) {
		return "", fmt.Errorf("%s is damaged: %q", name, line)
	}
	return line, nil
}

func (s *Store) readJSON(name string, into any) (found bool, err error) {
	data, err := os.ReadFile(filepath.Join(s.root, name))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return false, fmt.Errorf("%s is damaged: %w", name, err)
	}
	return true, nil
}

func (s *Store) writeJSON(name string, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return s.write(name, append(data, '\n'))
}

// write leaves the old file or the new one, whatever interrupts it: a file of its own (0600), synced, renamed over
// the old one, and the folder synced.
func (s *Store) write(name string, data []byte) (err error) {
	path := filepath.Join(s.root, name)
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(file.Name())
		}
	}()
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
