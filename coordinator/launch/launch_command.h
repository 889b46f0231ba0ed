/* launch_command.h - the command line of mpirun for one launch: on this machine alone, or on the hosts that answer. */
#ifndef REELWRIGHT_LAUNCH_COMMAND_H
#define REELWRIGHT_LAUNCH_COMMAND_H

#include "coordinator/launch/launch.h"

/* NULL at the end; launch_command_free. program: the file of this executable. */
char **launch_command_new(const LaunchOptions *o, const char *program);
void launch_command_free(char ***command);
/* This process's environment as mpirun gets it, made before the fork (launch_command_free): without secrets, and with a home directory,
 * which Open MPI does not start without, and cron jobs and some containers do not have. */
char **launch_command_environment(void);
/* In the child, between fork and exec: becomes mpirun, which writes to these two. Does not return. */
void launch_command_become(char **command, char **environment, int output, int errors);
/* How many workers that command starts. */
int launch_command_workers(const LaunchOptions *o);

#endif
