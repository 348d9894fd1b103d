/* limit-capabilities NAME,NAME… PROGRAM ARGUMENT…: runs a program as a container runtime does, as root with these capabilities and no
   others, without privilege escalation.
   Example: limit-capabilities NET_ADMIN,SYS_PTRACE multi-eni-agent doctor */
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static const struct {
	const char *name;
	int number;
} known[] = {
	{"NET_ADMIN", CAP_NET_ADMIN},
	{"DAC_READ_SEARCH", CAP_DAC_READ_SEARCH},
	{"SYS_PTRACE", CAP_SYS_PTRACE},
	{"SYS_MODULE", CAP_SYS_MODULE},
};

/* The number of a capability, or -1. */
static int number_of(const char *name)
{
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (!strcmp(known[i].name, name))
			return known[i].number;
	return -1;
}

static int failed(const char *step)
{
	perror(step);
	return 1;
}

int main(int count, char **words)
{
	unsigned long kept = 0;

	if (count < 3)
		return 2;
	for (char *name = strtok(words[1], ","); name; name = strtok(NULL, ",")) {
		int number = number_of(name);
		if (number < 0) {
			fprintf(stderr, "limit-capabilities: %s is not known\n", name);
			return 2;
		}
		kept |= 1UL << number;
	}
	/* The kernel refuses the first number that it does not know. */
	for (int number = 0; prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0; number++)
		if (!(kept >> number & 1) && prctl(PR_CAPBSET_DROP, number, 0, 0, 0) < 0)
			return failed("PR_CAPBSET_DROP");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return failed("PR_SET_NO_NEW_PRIVS");
	execvp(words[2], words + 2);
	return failed(words[2]);
}
