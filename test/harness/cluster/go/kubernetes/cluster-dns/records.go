package main

import (
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
)

const zone = ".svc.cluster.local."

// Records looks names up in the caches of Services and of the endpoints behind them.
type records struct {
	services corelisters.ServiceLister
	slices   discoverylisters.EndpointSliceLister
}

func newRecords(factory informers.SharedInformerFactory) *records {
	return &records{
		services: factory.Core().V1().Services().Lister(),
		slices:   factory.Discovery().V1().EndpointSlices().Lister(),
	}
}

// Lookup returns the addresses of a name that ends with a dot, and whether there is such a name at all.
func (r *records) lookup(name string) (addresses []netip.Addr, exists bool) {
	name, inZone := strings.CutSuffix(strings.ToLower(name), zone)
	if !inZone {
		return nil, false
	}
	parts := strings.Split(name, ".")
	switch len(parts) {
	case 2:
		return r.lookupService(parts[0], parts[1])
	case 3:
		addresses = r.endpoints(parts[1], parts[2], parts[0])
		return addresses, len(addresses) > 0
	default:
		return nil, false
	}
}

func (r *records) lookupService(name, namespace string) ([]netip.Addr, bool) {
	service, err := r.services.Services(namespace).Get(name)
	if err != nil {
		return nil, false
	}
	if service.Spec.ClusterIP == corev1.ClusterIPNone {
		return r.endpoints(name, namespace, ""), true
	}
	return parseAddresses(service.Spec.ClusterIPs), true
}

// Endpoints returns the addresses of a Service's ready endpoints: of all, or of the one with that host name.
func (r *records) endpoints(service, namespace, hostname string) (addresses []netip.Addr) {
	ofService := labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service})
	slices, err := r.slices.EndpointSlices(namespace).List(ofService)
	if err != nil {
		return nil
	}
	for _, slice := range slices {
		for _, endpoint := range slice.Endpoints {
			isReady := endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready
			isMeant := hostname == "" || (endpoint.Hostname != nil && *endpoint.Hostname == hostname)
			if isReady && isMeant {
				addresses = append(addresses, parseAddresses(endpoint.Addresses)...)
			}
		}
	}
	return addresses
}

func parseAddresses(texts []string) (addresses []netip.Addr) {
	for _, text := range texts {
		if address, err := netip.ParseAddr(text); err == nil {
			addresses = append(addresses, address)
		}
	}
	return addresses
}
