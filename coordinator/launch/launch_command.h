/* launch_command.h - the command line of mpirun for one launch: on this machine alone, or on the hosts that answer. */
#ifndef REELWRIGHT_LAUNCH_COMMAND_H
#define REELWRIGHT_LAUNCH_COMMAND_H

#include <sys/types.h>

#include "coordinator/launch/launch.h"

/* NULL at the end; launch_command_free. program: the file of this executable. */
char **launch_command_new(const LaunchOptions *o, const char *program);
void launch_command_free(char ***command);
/* The environment that mpirun gets: this process's without secrets, and with HOME. Open MPI does not start without a home directory, and
 * cron jobs and some containers set none. Made before the fork; launch_command_free. */
char **launch_command_environment(void);
/* In the child of `parent`, between fork and exec: becomes mpirun, which writes to these two. Does not return. */
void launch_command_become(char **command, char **environment, pid_t parent, int output, int errors);
/* How many workers that command starts. */
int launch_command_workers(const LaunchOptions *o);

#endif
