package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"sync"

	cadvisor "github.com/google/cadvisor/info/v1"
	"google.golang.org/grpc"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	resources "k8s.io/kubelet/pkg/apis/podresources/v1"
	"k8s.io/kubernetes/pkg/kubelet/apis/podresources"
	"k8s.io/kubernetes/pkg/kubelet/cm/containermap"
	"k8s.io/kubernetes/pkg/kubelet/cm/devicemanager"
	"k8s.io/kubernetes/pkg/kubelet/cm/topologymanager"
)

// manager is kubelet's whole device manager, with the pods that the commands make. Kubelet's path of the sockets is built in, so the
// process needs a mount namespace in which /var/lib/kubelet/device-plugins is the directory of the test.
type manager struct {
	kubelet *devicemanager.ManagerImpl
	server  *grpc.Server

	mutex sync.Mutex
	pods  map[string]*core.Pod
}

type allReady struct{}

func (allReady) AddSource(string) {}
func (allReady) AllReady() bool   { return true }

func (m *manager) activePods() []*core.Pod {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	pods := []*core.Pod{}
	for _, pod := range m.pods {
		pods = append(pods, pod)
	}
	return pods
}

func (m *manager) start() error {
	kubelet, err := devicemanager.NewManagerImpl([]cadvisor.Node{{Id: 0}, {Id: 1}}, topologymanager.NewFakeManager())
	if err != nil {
		return err
	}
	m.kubelet = kubelet
	// A pod without devices, as the agent's own is.
	m.mutex.Lock()
	m.pods["agent"] = &core.Pod{ObjectMeta: meta.ObjectMeta{Name: "agent", Namespace: "ns", UID: "agent"}}
	m.mutex.Unlock()
	if err := m.servePodResources(); err != nil {
		return err
	}
	return kubelet.Start(m.activePods, allReady{}, containermap.NewContainerMap(), sets.New[string]())
}

// The directory of the sockets is that of the device plugins, because the test sees no other directory of this mount namespace.
const podResourcesSocket = "/var/lib/kubelet/device-plugins/pod-resources/kubelet.sock"

// servePodResources serves kubelet's own pod-resources API.
func (m *manager) servePodResources() error {
	if err := os.MkdirAll(filepath.Dir(podResourcesSocket), 0o750); err != nil {
		return err
	}
	if err := os.Remove(podResourcesSocket); err != nil && !os.IsNotExist(err) {
		return err
	}
	listener, err := net.Listen("unix", podResourcesSocket)
	if err != nil {
		return err
	}
	m.server = grpc.NewServer()
	resources.RegisterPodResourcesListerServer(m.server, podresources.NewV1PodResourcesServer(context.Background(),
		podresources.PodResourcesProviders{Pods: m, Devices: m, Cpus: noOther{}, Memory: noOther{}, DynamicResources: noOther{}}))
	go func() { _ = m.server.Serve(listener) }()
	return nil
}

// What the pod-resources API asks of the rest of kubelet.

func (m *manager) GetActivePods() []*core.Pod { return m.activePods() }
func (m *manager) GetPods() []*core.Pod       { return m.activePods() }
func (m *manager) GetPodByName(_, name string) (*core.Pod, bool) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	pod, ok := m.pods[name]
	return pod, ok
}
func (m *manager) UpdateAllocatedDevices() { m.kubelet.UpdateAllocatedDevices() }
func (m *manager) GetDevices(podUID, container string) []*resources.ContainerDevices {
	return devicesOf(m.kubelet.GetDevices(podUID, container))
}
func (m *manager) GetAllocatableDevices() []*resources.ContainerDevices {
	return devicesOf(m.kubelet.GetAllocatableDevices())
}

func devicesOf(instances devicemanager.ResourceDeviceInstances) []*resources.ContainerDevices {
	var devices []*resources.ContainerDevices
	for name, ofResource := range instances {
		for id := range ofResource {
			devices = append(devices, &resources.ContainerDevices{ResourceName: name, DeviceIds: []string{id}})
		}
	}
	return devices
}

// noOther is a node without processors and memory of its own for pods, and without claims.
type noOther struct{}

func (noOther) GetCPUs(_, _ string) []int64                        { return nil }
func (noOther) GetAllocatableCPUs() []int64                        { return nil }
func (noOther) GetMemory(_, _ string) []*resources.ContainerMemory { return nil }
func (noOther) GetAllocatableMemory() []*resources.ContainerMemory { return nil }
func (noOther) GetDynamicResources(_ *core.Pod, _ *core.Container) []*resources.DynamicResource {
	return nil
}

func (m *manager) capacity() {
	capacity, allocatable, _ := m.kubelet.GetCapacity()
	line := event{Event: "capacity", Capacity: map[string]int64{}, Allocatable: map[string]int64{}}
	for name, quantity := range capacity {
		line.Capacity[string(name)] = quantity.Value()
	}
	for name, quantity := range allocatable {
		line.Allocatable[string(name)] = quantity.Value()
	}
	say(line)
}

// pod admits a pod with one container, as kubelet does, and shows what its container would get.
func (m *manager) pod(name, wanted string, count string) error {
	quantity, err := resource.ParseQuantity(count)
	if err != nil {
		return err
	}
	limits := core.ResourceList{core.ResourceName(wanted): quantity}
	pod := &core.Pod{
		ObjectMeta: meta.ObjectMeta{Name: name, Namespace: "ns", UID: types.UID(name)},
		Spec:       core.PodSpec{Containers: []core.Container{{Name: "c", Resources: core.ResourceRequirements{Limits: limits}}}},
	}
	c := &pod.Spec.Containers[0]
	line := event{Event: "allocated", Resource: wanted}
	for _, hint := range m.kubelet.GetTopologyHints(pod, c)[wanted] {
		if hint.Preferred && hint.NUMANodeAffinity != nil {
			line.Hints = append(line.Hints, fmt.Sprint(hint.NUMANodeAffinity.GetBits()))
		}
	}
	sort.Strings(line.Hints)
	// Kubelet knows a pod before it admits it.
	m.mutex.Lock()
	_, isKnown := m.pods[name]
	m.pods[name] = pod
	m.mutex.Unlock()
	if err := m.kubelet.Allocate(pod, c); err != nil {
		if !isKnown {
			m.end(name)
		}
		return err
	}
	return m.container(pod, line)
}

// container starts the container of a pod that was admitted, and shows what it would get.
func (m *manager) container(pod *core.Pod, line event) error {
	options, err := m.kubelet.GetDeviceRunContainerOptions(pod, &pod.Spec.Containers[0])
	if err != nil {
		return err
	}
	shown := container{Envs: map[string]string{}, Devices: []string{}, Mounts: len(options.Mounts)}
	for _, variable := range options.Envs {
		shown.Envs[variable.Name] = variable.Value
	}
	for _, d := range options.Devices {
		shown.Devices = append(shown.Devices, fmt.Sprintf("%s %s %s", d.PathOnHost, d.PathInContainer, d.Permissions))
	}
	line.Answers = []container{shown}
	say(line)
	return nil
}

func (m *manager) again(name string) error {
	pod, ok := m.GetPodByName("", name)
	if !ok {
		return fmt.Errorf("no pod %s was admitted", name)
	}
	return m.container(pod, event{Event: "allocated"})
}

func (m *manager) end(name string) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	delete(m.pods, name)
}

func (m *manager) run(words []string) error {
	switch {
	case words[0] == "start":
		return m.start()
	case words[0] == "stop":
		m.server.Stop()
		return m.kubelet.Stop()
	case words[0] == "capacity":
		m.capacity()
		return nil
	case words[0] == "pod" && len(words) == 4:
		return m.pod(words[1], words[2], words[3])
	case words[0] == "again" && len(words) == 2:
		return m.again(words[1])
	case words[0] == "end" && len(words) == 2:
		m.end(words[1])
		return nil
	}
	return fmt.Errorf("unknown command %s", strconv.Quote(words[0]))
}
