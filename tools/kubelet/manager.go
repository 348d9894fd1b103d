package main

import (
	"fmt"
	"sort"
	"strconv"
	"sync"

	cadvisor "github.com/google/cadvisor/info/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/kubernetes/pkg/kubelet/cm/containermap"
	"k8s.io/kubernetes/pkg/kubelet/cm/devicemanager"
	"k8s.io/kubernetes/pkg/kubelet/cm/topologymanager"
)

// manager is kubelet's whole device manager, with the pods that the commands make. Kubelet's path of the sockets is built in, so the
// process needs a mount namespace in which /var/lib/kubelet/device-plugins is the directory of the test.
type manager struct {
	kubelet *devicemanager.ManagerImpl

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
	return kubelet.Start(m.activePods, allReady{}, containermap.NewContainerMap(), sets.New[string]())
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
	if err := m.kubelet.Allocate(pod, c); err != nil {
		return err
	}
	m.mutex.Lock()
	m.pods[name] = pod
	m.mutex.Unlock()
	options, err := m.kubelet.GetDeviceRunContainerOptions(pod, c)
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

func (m *manager) run(words []string) error {
	switch {
	case words[0] == "start":
		return m.start()
	case words[0] == "stop":
		return m.kubelet.Stop()
	case words[0] == "capacity":
		m.capacity()
		return nil
	case words[0] == "pod" && len(words) == 4:
		return m.pod(words[1], words[2], words[3])
	case words[0] == "end" && len(words) == 2:
		m.mutex.Lock()
		delete(m.pods, words[1])
		m.mutex.Unlock()
		return nil
	}
	return fmt.Errorf("unknown command %s", strconv.Quote(words[0]))
}
