#include "turn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/moment.h"

enum { NAP_US = 50000 };

/* When the maker last said that it is at it, by the clock of whoever keeps the file: only changes are looked at. */
static int64_t signed_ns(int lock)
{
    struct stat st;
    return fstat(lock, &st) == 0 ? (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec : 0;
}

Status turn_take(const char *path, double patience_s, bool (*there)(void *self), void *self, Progress waiting,
                 const char *stage, Turn *out)
{
    Status status = status_ok();
    *out = (Turn){.name = text_format("%s.lock", path)};
    out->lock = open(out->name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool mine = out->lock < 0, came = false;
    double heard = moment_s();
    int64_t sign = mine ? 0 : signed_ns(out->lock);
    while (!mine && !came && !failed(status) && moment_s() - heard < patience_s) {
        mine = flock(out->lock, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
        came = there(self); /* after the look at the lock: what was made before it went is seen */
        if (mine || came) break;
        if (waiting.at) status = waiting.at(waiting.self, stage, 0, 1);
        usleep(NAP_US);
        const int64_t now = signed_ns(out->lock);
        if (now != sign) heard = moment_s();
        sign = now;
    }
    if ((!mine || came) && out->lock >= 0) {
        close(out->lock);
        out->lock = -1;
    }
    return status;
}

void turn_sign(const Turn *t)
{
    if (t->lock >= 0) futimens(t->lock, NULL);
}

void turn_end(Turn *t)
{
    if (t->lock >= 0) {
        unlink(t->name);
        close(t->lock);
    }
    free(t->name);
    *t = (Turn){.lock = -1};
}
