/* hold-device GROUP DEVICE: opens a device by vfio, as a DPDK program does, and keeps it open until it is killed.
   Example: hold-device /dev/vfio/3 0000:01:00.0 */
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int failed(const char *step)
{
	perror(step);
	return 1;
}

int main(int count, char **words)
{
	if (count != 3)
		return 2;
	int container = open("/dev/vfio/vfio", O_RDWR);
	if (container < 0)
		return failed("/dev/vfio/vfio");
	int group = open(words[1], O_RDWR);
	if (group < 0)
		return failed(words[1]);
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) < 0)
		return failed("VFIO_GROUP_SET_CONTAINER");
	if (ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU) < 0)
		return failed("VFIO_SET_IOMMU");
	if (ioctl(group, VFIO_GROUP_GET_DEVICE_FD, words[2]) < 0)
		return failed("VFIO_GROUP_GET_DEVICE_FD");
	pause();
	return 0;
}
