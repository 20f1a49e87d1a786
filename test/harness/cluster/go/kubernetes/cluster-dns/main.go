// Cluster-dns answers the names of Services, SERVICE.NAMESPACE.svc.cluster.local, and those of the pods behind headless
// ones, POD.SERVICE.NAMESPACE.svc.cluster.local, from what the API server says at the moment. It knows no other names
// and asks no other server: a test cluster reaches nothing outside of itself.
package main

import (
	"flag"
	"log"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	listen := flag.String("listen", "127.0.0.1:53", "the address to answer on, over UDP and TCP")
	flag.Parse()

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		log.Fatal(err)
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	found := newRecords(factory)
	factory.Start(nil)
	factory.WaitForCacheSync(nil)

	failed := make(chan error)
	go func() { failed <- serveUDP(*listen, found) }()
	go func() { failed <- serveTCP(*listen, found) }()
	log.Fatal(<-failed)
}
