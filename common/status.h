/* status.h - the result of everything that can fail because of the world.
 *
 * A Status is passed back by value through every frame. Its class drives the farm's policy; its message grows outward
 * as it returns, so that what the user reads names file, line and field, what was expected and what to do:
 *
 *     TRY(status_fail(ERR_INPUT, "frames = %d, expected 4k+1", n));          -> in the callee
 *     return status_at(s, "%s:%d", file, line);                              -> "summer.yaml:12: frames = 30, ..."
 *
 * The text lives in thread-local storage until the thread's next failure: copy it to keep it. */
#ifndef REELWRIGHT_STATUS_H
#define REELWRIGHT_STATUS_H

#include <stdbool.h>

typedef enum {
    OK = 0,
    ERR_INPUT, /* the user's input is wrong: nothing was started                            exit 2 */
    ERR_CLIP,  /* this shot or clip cannot be made, here or elsewhere                       exit 1 */
    ERR_RETRY, /* it may succeed on any worker                                              exit 3 */
    ERR_NODE,  /* this worker cannot do it (memory, disk, device); another may              exit 3 */
    ERR_FATAL, /* the farm cannot go on (ledger refused, disk full, fenced)                 exit 3 */
    ERR_STOP   /* stopped in order to be resumed (SIGTERM, SIGUSR1)                         exit 75 */
} ErrClass;

enum { STATUS_MESSAGE_MAX = 32 << 10 }; /* bytes; a longer message is cut */

typedef struct {
    ErrClass err;        /* OK or the class of the failure */
    const char *message; /* never NULL; "" when OK */
    int error;           /* the errno behind it (status_errno), 0 when there is none */
} Status;

Status status_ok(void);
Status status_fail(ErrClass err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A message of several lines, each of which is clean already (faults_add, another Status): in all others what the arguments hold is
 * cleaned (foreign.h), so that a name in a damaged file can forge no second line. */
Status status_lines(ErrClass err, const char *lines);
/* The same failure with "prefix: " put before its message. OK stays OK. */
Status status_at(Status s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The message is followed by what errno says, "write FILE: No space left on device"; e.g. status_errno(ERR_NODE, "write %s", path) */
Status status_errno(ErrClass err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int status_exit_code(Status s);
const char *status_class_name(ErrClass err);

static inline bool failed(Status s) { return s.err != OK; }

#define TRY(expr)                                                                                                      \
    do {                                                                                                               \
        Status try_status_ = (expr);                                                                                   \
        if (failed(try_status_)) return try_status_;                                                                   \
    } while (0)
/* The same, leaving by the function's `out:` label with the failure in `status`. */
#define TRY_OUT(expr)                                                                                                  \
    do {                                                                                                               \
        status = (expr);                                                                                               \
        if (failed(status)) goto out;                                                                                  \
    } while (0)

#endif
