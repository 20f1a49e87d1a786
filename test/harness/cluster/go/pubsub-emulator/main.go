// A Pub/Sub of a test's own: the in-memory server of Google's client library, on an address that is given.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"cloud.google.com/go/pubsub/v2/pstest"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: pubsub-emulator ADDRESS:PORT")
		os.Exit(2)
	}
	colon := strings.LastIndex(os.Args[1], ":")
	port, err := strconv.Atoi(os.Args[1][colon+1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	server := pstest.NewServerWithAddress(fmt.Sprintf("%s:%d", os.Args[1][:colon], port))
	fmt.Println(server.Addr)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
	server.Close()
}
