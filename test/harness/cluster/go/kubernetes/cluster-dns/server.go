package main

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// Short, so that a client sees within seconds that a pod has gone.
	ttlSeconds = 5
	// What every client takes over UDP without having said so.
	maxUDPSize  = 512
	idleTimeout = 30 * time.Second
)

func serveUDP(listen string, found *records) error {
	conn, err := net.ListenPacket("udp", listen)
	if err != nil {
		return err
	}
	buffer := make([]byte, 4096)
	for {
		size, client, err := conn.ReadFrom(buffer)
		if err != nil {
			return err
		}
		if reply := answer(buffer[:size], found, maxUDPSize); reply != nil {
			_, _ = conn.WriteTo(reply, client)
		}
	}
}

func serveTCP(listen string, found *records) error {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go serveConn(conn, found)
	}
}

// ServeConn answers the messages of one connection, each of which has its length before it.
func serveConn(conn net.Conn, found *records) {
	defer conn.Close()
	for {
		_ = conn.SetDeadline(time.Now().Add(idleTimeout))
		var size uint16
		if binary.Read(conn, binary.BigEndian, &size) != nil {
			return
		}
		message := make([]byte, size)
		if _, err := io.ReadFull(conn, message); err != nil {
			return
		}
		reply := answer(message, found, 1<<16-1)
		if reply == nil {
			return
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

// Answer makes the reply to a message of one question; nil when the message is not one. A reply that is longer than
// maxSize is cut to its header, which tells the client to ask again over TCP.
func answer(message []byte, found *records, maxSize int) []byte {
	var parser dnsmessage.Parser
	header, err := parser.Start(message)
	if err != nil || header.Response {
		return nil
	}
	question, err := parser.Question()
	if err != nil {
		return nil
	}
	addresses, exists := found.lookup(question.Name.String())
	header = dnsmessage.Header{
		ID:                 header.ID,
		Response:           true,
		Authoritative:      true,
		RecursionDesired:   header.RecursionDesired,
		RecursionAvailable: true,
	}
	if !exists {
		header.RCode = dnsmessage.RCodeNameError
	}
	reply := build(header, question, addresses)
	if len(reply) > maxSize {
		header.Truncated = true
		reply = build(header, question, nil)
	}
	return reply
}

func build(header dnsmessage.Header, question dnsmessage.Question, addresses []netip.Addr) []byte {
	message := dnsmessage.Message{Header: header, Questions: []dnsmessage.Question{question}}
	for _, address := range addresses {
		// The cluster has IPv4 addresses only: a question for another kind has an answer, an empty one.
		if question.Type != dnsmessage.TypeA || !address.Is4() {
			continue
		}
		message.Answers = append(message.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: question.Name, Class: question.Class, TTL: ttlSeconds},
			Body:   &dnsmessage.AResource{A: address.As4()},
		})
	}
	packed, err := message.Pack()
	if err != nil {
		return nil
	}
	return packed
}
