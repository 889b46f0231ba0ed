#include "provoke.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/moment.h"

const char provoke_variable[] = "REELWRIGHT_PROVOKE";

enum { MOST_ORDERS = 32, HOLD_LOOK_MS = 20 };

typedef enum { DO_NOTHING, DO_KILL, DO_STOP, DO_HOLD, DO_SLEEP, DO_FAIL } Action;

typedef struct {
    char at[48], clip[64], once[256], until[256];
    Action action;
    ErrClass err; /* of DO_FAIL */
    int64_t step, rank, ms;
} Order;

static Order order[MOST_ORDERS];
static int order_count;
static int my_rank = -1;
static char my_clip[64];
static _Thread_local char clip_of_thread[64];
static _Thread_local bool (*hold_over)(void *self);
static _Thread_local void *hold_self;

/* ---- reading the orders ---- */

static Status read_action(const char *word, Order *o)
{
    static const struct {
        const char *word;
        Action action;
        ErrClass err;
    } known[] = {{"kill", DO_KILL, OK},
                 {"stop", DO_STOP, OK},
                 {"hold", DO_HOLD, OK},
                 {"sleep", DO_SLEEP, OK},
                 {"fail.clip", DO_FAIL, ERR_CLIP},
                 {"fail.retry", DO_FAIL, ERR_RETRY},
                 {"fail.node", DO_FAIL, ERR_NODE},
                 {"fail.fatal", DO_FAIL, ERR_FATAL}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].word, word) != 0) continue;
        o->action = known[i].action;
        o->err = known[i].err;
        return status_ok();
    }
    return status_fail(ERR_INPUT, "%s: do = %s, expected kill, stop, hold, sleep or fail.CLASS", provoke_variable,
                       word);
}

static Status read_field(const char *name, const char *value, Order *o)
{
    const struct {
        const char *name;
        char *text;
        size_t room;
        int64_t *number;
    } field[] = {{"at", o->at, sizeof o->at, NULL},
                 {"clip", o->clip, sizeof o->clip, NULL},
                 {"once", o->once, sizeof o->once, NULL},
                 {"until", o->until, sizeof o->until, NULL},
                 {"step", NULL, 0, &o->step},
                 {"rank", NULL, 0, &o->rank},
                 {"ms", NULL, 0, &o->ms}};
    if (strcmp(name, "do") == 0) return read_action(value, o);
    for (size_t i = 0; i < sizeof field / sizeof *field; i++) {
        char *end = "";
        if (strcmp(field[i].name, name) != 0) continue;
        if (field[i].text) snprintf(field[i].text, field[i].room, "%s", value);
        if (field[i].number) *field[i].number = strtoll(value, &end, 10);
        if (*value && !*end && (!field[i].text || strlen(value) < field[i].room)) return status_ok();
        return status_fail(ERR_INPUT, "%s: %s = \"%s\", expected %s", provoke_variable, name, value,
                           field[i].number ? "a number" : "a shorter text");
    }
    return status_fail(ERR_INPUT, "%s: unknown field \"%s\"; common/provoke.h lists them", provoke_variable, name);
}

static Status read_order(char *text, Order *o)
{
    *o = (Order){.rank = -1};
    for (char *rest = text, *field; (field = strsep(&rest, ","));) {
        field += strspn(field, " ");
        for (size_t n = strlen(field); n > 0 && field[n - 1] == ' ';) field[--n] = 0;
        char *value = strchr(field, '=');
        if (!value) return status_fail(ERR_INPUT, "%s: \"%s\", expected field=value", provoke_variable, field);
        *value++ = 0;
        TRY(read_field(field, value, o));
    }
    if (!o->at[0] || o->action == DO_NOTHING || (o->action == DO_HOLD && !o->until[0]))
        return status_fail(ERR_INPUT, "%s: expected at=POINT and do=ACTION in every order, and until=FILE with a hold",
                           provoke_variable);
    return status_ok();
}

Status provoke_order(const char *orders)
{
    Status status = status_ok();
    order_count = 0;
    if (!orders || !*orders) return status;
    char *text = strdup(orders);
    if (!text) return status_fail(ERR_NODE, "%s: out of memory", provoke_variable);
    for (char *rest = text, *one; !failed(status) && (one = strsep(&rest, ";"));) {
        if (!one[strspn(one, " ")]) continue;
        status = order_count == MOST_ORDERS
                     ? status_fail(ERR_INPUT, "%s: more than %d orders", provoke_variable, MOST_ORDERS)
                     : read_order(one, &order[order_count++]);
    }
    if (failed(status)) order_count = 0;
    free(text);
    return status;
}

/* ---- carrying them out ---- */

void provoke_set_hold(bool (*over)(void *self), void *self)
{
    hold_over = over;
    hold_self = self;
}

void provoke_set_rank(int rank) { my_rank = rank; }
void provoke_set_clip(const char *clip) { snprintf(my_clip, sizeof my_clip, "%s", clip); }
void provoke_set_clip_of_thread(const char *clip) { snprintf(clip_of_thread, sizeof clip_of_thread, "%s", clip); }

/* Of all processes that come to this point, the first one that can make the file obeys the order. It writes its number into the file before it
 * obeys, because the order may end it. */
static bool sign(const Order *o, int64_t step)
{
    char line[128];
    int fd = open(o->once, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return false;
    int n = snprintf(line, sizeof line, "%ld %s %lld\n", (long)getpid(), o->at, (long long)step);
    bool written = write(fd, line, (size_t)n) == n;
    close(fd);
    return written;
}

static Status carry_out(const Order *o, int64_t step)
{
    switch (o->action) {
    case DO_KILL:
        raise(SIGKILL);
        break;
    case DO_STOP:
        raise(SIGSTOP);
        break;
    case DO_HOLD:
        while (access(o->until, F_OK) != 0 && moment_stops() == 0 && !(hold_over && hold_over(hold_self)))
            moment_sleep_ms(HOLD_LOOK_MS);
        break;
    case DO_SLEEP:
        moment_sleep_ms((int)o->ms);
        break;
    case DO_FAIL:
        return status_fail(o->err, "%s %lld: a failure was ordered", o->at, (long long)step);
    case DO_NOTHING:
        break;
    }
    return status_ok();
}

static bool is_at(const Order *o, const char *point, const char *ending)
{
    size_t n = strlen(point);
    if (strncmp(o->at, point, n) != 0) return false;
    return ending ? o->at[n] == '.' && strcmp(o->at + n + 1, ending) == 0 : !o->at[n];
}

Status provoke_at(const char *point, const char *ending, int64_t step)
{
    for (int i = 0; i < order_count; i++) {
        const Order *o = &order[i];
        if (!is_at(o, point, ending) || step < o->step || (o->rank >= 0 && o->rank != my_rank)) continue;
        if (o->clip[0] && strcmp(o->clip, clip_of_thread[0] ? clip_of_thread : my_clip) != 0) continue;
        if (o->once[0] && !sign(o, step)) continue;
        TRY(carry_out(o, step));
    }
    return status_ok();
}
