// kubelet-stand-in is the part of kubelet that device plugins talk to. It takes commands on stdin, one a line, and writes what it sees
// to stdout, one JSON object a line.
//
// By default it is kubelet's own registration server and its own client (k8s.io/kubernetes/pkg/kubelet/cm/devicemanager/plugin/v1beta1),
// and each call is a command:
//
//	start                                  removes the sockets of the directory, as a kubelet that starts does, and serves
//	stop                                   closes all connections and removes kubelet.sock
//	crash                                  closes all connections and leaves a kubelet.sock on which nobody listens
//	disconnect RESOURCE                    closes the connection to one plugin
//	allocate RESOURCE ID,ID [ID,ID …]      one list of device IDs for each container
//	prefer RESOURCE SIZE ID,ID [ID,ID]     the available device IDs, and those that must be among the answer
//	prestart RESOURCE ID,ID
//
// With -manager it is kubelet's whole device manager, which calls by itself:
//
//	start, stop
//	capacity                               what the Node's status would have
//	pod NAME RESOURCE COUNT                admits a pod with one container
//	again NAME                             the container of the pod starts again, without a new admission
//	end NAME                               the pod has ended
//
// A pod that is admitted for a second time is one of a kubelet that has restarted: it gets what it was given before. While the manager runs,
// it serves kubelet's pod-resources API at pod-resources/kubelet.sock below the directory. The pod agent is always there.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
	plugin "k8s.io/kubernetes/pkg/kubelet/cm/devicemanager/plugin/v1beta1"
)

// The name of the file that kubelet keeps in its directory when it starts.
const checkpoint = "kubelet_internal_checkpoint"

// event is one line of the output.
type event struct {
	Event     string         `json:"event"`
	Resource  string         `json:"resource,omitempty"`
	Endpoint  string         `json:"endpoint,omitempty"`
	Error     string         `json:"error,omitempty"`
	Options   map[string]any `json:"options,omitempty"`
	Devices   []device       `json:"devices,omitempty"`
	Answers   []container    `json:"answers,omitempty"`
	Preferred []string       `json:"preferred,omitempty"`

	Capacity    map[string]int64 `json:"capacity,omitempty"`
	Allocatable map[string]int64 `json:"allocatable,omitempty"`
	Hints       []string         `json:"hints,omitempty"`
}

type device struct {
	ID     string  `json:"id"`
	Health string  `json:"health"`
	NUMA   []int64 `json:"numa,omitempty"`
}

type container struct {
	Envs    map[string]string `json:"envs"`
	Devices []string          `json:"devices"`
	Mounts  int               `json:"mounts"`
}

type kubelet struct {
	directory string
	server    plugin.Server

	mutex   sync.Mutex
	plugins map[string]plugin.DevicePlugin
}

var output sync.Mutex

func say(line event) {
	text, err := json.Marshal(line)
	if err != nil {
		text = []byte(fmt.Sprintf(`{"event":"error","error":%q}`, err.Error()))
	}
	output.Lock()
	defer output.Unlock()
	fmt.Println(string(text))
}

// CleanupPluginDirectory removes what kubelet removes when it starts: all sockets.
func (k *kubelet) CleanupPluginDirectory(directory string) error {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Name() != checkpoint && entry.Type()&os.ModeSocket != 0 {
			// A plugin may remove its socket at the same time. Kubelet does not mind either.
			if err := os.Remove(filepath.Join(directory, entry.Name())); err != nil && !os.IsNotExist(err) {
				return err
			}
		}
	}
	return nil
}

// PluginConnected asks for the options, as kubelet's device manager does before Register returns.
func (k *kubelet) PluginConnected(resource string, p plugin.DevicePlugin) error {
	options, err := p.API().GetDevicePluginOptions(context.Background(), &api.Empty{})
	if err != nil {
		say(event{Event: "error", Resource: resource, Error: err.Error()})
		return err
	}
	k.mutex.Lock()
	k.plugins[resource] = p
	k.mutex.Unlock()
	say(event{Event: "connected", Resource: resource, Endpoint: filepath.Base(p.SocketPath()), Options: map[string]any{
		"preStartRequired":                options.PreStartRequired,
		"getPreferredAllocationAvailable": options.GetPreferredAllocationAvailable,
	}})
	return nil
}

func (k *kubelet) PluginDisconnected(resource string) {
	say(event{Event: "disconnected", Resource: resource})
}

func (k *kubelet) PluginListAndWatchReceiver(resource string, list *api.ListAndWatchResponse) {
	line := event{Event: "devices", Resource: resource, Devices: []device{}}
	for _, d := range list.Devices {
		shown := device{ID: d.ID, Health: d.Health}
		for _, node := range d.GetTopology().GetNodes() {
			shown.NUMA = append(shown.NUMA, node.ID)
		}
		line.Devices = append(line.Devices, shown)
	}
	say(line)
}

func (k *kubelet) start() error {
	server, err := plugin.NewServer(filepath.Join(k.directory, "kubelet.sock"), k, k)
	if err != nil {
		return err
	}
	k.server = server
	return server.Start()
}

func (k *kubelet) stop() error {
	if k.server == nil {
		return nil
	}
	server := k.server
	k.server = nil
	return server.Stop()
}

// crash leaves the socket of a process that is gone.
func (k *kubelet) crash() error {
	if err := k.stop(); err != nil {
		return err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(k.directory, "kubelet.sock"), Net: "unix"})
	if err != nil {
		return err
	}
	listener.SetUnlinkOnClose(false)
	return listener.Close()
}

func (k *kubelet) plugin(resource string) (plugin.DevicePlugin, error) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if p, ok := k.plugins[resource]; ok {
		return p, nil
	}
	return nil, fmt.Errorf("no plugin for %s", resource)
}

func ids(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
}

func (k *kubelet) run(words []string) error {
	switch words[0] {
	case "start":
		return k.start()
	case "stop":
		return k.stop()
	case "crash":
		return k.crash()
	}
	if len(words) < 2 {
		return fmt.Errorf("unknown command %q", words)
	}
	resource := words[1]
	p, err := k.plugin(resource)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	switch {
	case words[0] == "disconnect":
		k.server.DeRegisterPlugin(resource, p.SocketPath())
		return nil
	case words[0] == "allocate" && len(words) > 2:
		request := &api.AllocateRequest{}
		for _, list := range words[2:] {
			request.ContainerRequests = append(request.ContainerRequests, &api.ContainerAllocateRequest{DevicesIds: ids(list)})
		}
		answer, err := p.API().Allocate(ctx, request)
		if err != nil {
			return err
		}
		line := event{Event: "allocated", Resource: resource}
		for _, c := range answer.ContainerResponses {
			shown := container{Envs: c.Envs, Devices: []string{}, Mounts: len(c.Mounts)}
			for _, d := range c.Devices {
				shown.Devices = append(shown.Devices, fmt.Sprintf("%s %s %s", d.HostPath, d.ContainerPath, d.Permissions))
			}
			line.Answers = append(line.Answers, shown)
		}
		say(line)
		return nil
	case words[0] == "prefer" && len(words) > 3:
		size, err := strconv.ParseInt(words[2], 10, 32)
		if err != nil {
			return err
		}
		request := &api.ContainerPreferredAllocationRequest{AvailableDeviceIDs: ids(words[3]), AllocationSize: int32(size)}
		if len(words) > 4 {
			request.MustIncludeDeviceIDs = ids(words[4])
		}
		answer, err := p.API().GetPreferredAllocation(ctx, &api.PreferredAllocationRequest{
			ContainerRequests: []*api.ContainerPreferredAllocationRequest{request},
		})
		if err != nil {
			return err
		}
		say(event{Event: "preferred", Resource: resource, Preferred: answer.ContainerResponses[0].DeviceIDs})
		return nil
	case words[0] == "prestart" && len(words) > 2:
		if _, err := p.API().PreStartContainer(ctx, &api.PreStartContainerRequest{DevicesIds: ids(words[2])}); err != nil {
			return err
		}
		say(event{Event: "prestarted", Resource: resource})
		return nil
	}
	return fmt.Errorf("unknown command %q", words)
}

func main() {
	directory := flag.String("directory", "", "the directory of the device plugins' sockets")
	whole := flag.Bool("manager", false, "be kubelet's whole device manager")
	flag.Parse()
	run := (&kubelet{directory: *directory, plugins: map[string]plugin.DevicePlugin{}}).run
	if *whole {
		run = (&manager{pods: map[string]*core.Pod{}}).run
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		if err := run(words); err != nil {
			say(event{Event: "error", Error: err.Error()})
			continue
		}
		say(event{Event: "done " + words[0]})
	}
}
