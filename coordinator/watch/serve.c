#include "serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/file.h"
#include "common/log.h"
#include "common/moment.h"
#include "coordinator/watch/metrics.h"
#include "coordinator/watch/serve_http.h"
#include "coordinator/watch/status_page.h"

enum { FRESH_MS = 500, TIMEOUT_S = 10, MOST_FOLDERS = 64, LAST_LOOK_MS = 1000 };

typedef struct {
    char *text;
    size_t bytes;
    int64_t made_ms;
} Made;

struct Serve {
    struct MHD_Daemon *daemon;
    int count, port;
    char *folder[MOST_FOLDERS], *address;
    bool loopback;
    ServeDoor door;
    Made page, inner_page, metrics; /* only the server's thread touches these */
    _Atomic int64_t looked_ms;      /* somebody has a page open */
    ServeRoom room;
};

/* ---- what is shown ---- */

static Status read_numbers(const char *folder, Snapshot *now, LeaseTotals *totals)
{
    Ledger *l = NULL;
    Status status = ledger_open(folder, LEDGER_READ, &l);
    if (!failed(status)) status = ledger_read_snapshot(l, now);
    if (!failed(status)) {
        status = ledger_read_totals(l, totals);
        if (failed(status)) snapshot_clear(now);
    }
    ledger_close(&l);
    return status;
}

/* Writes every campaign whose ledger can be read now. */
static void write_metrics(const Serve *s, FILE *f)
{
    Snapshot now[MOST_FOLDERS];
    LeaseTotals totals[MOST_FOLDERS];
    int count = 0;
    for (int i = 0; i < s->count; i++)
        if (!failed(read_numbers(s->folder[i], &now[count], &totals[count]))) count++;
    metrics_write(f, now, totals, count, moment_wall_s());
    for (int i = 0; i < count; i++) snapshot_clear(&now[i]);
}

static void write_page(const Serve *s, FILE *f, bool is_in)
{
    StatusPart *part = memory_get(MOST_FOLDERS, sizeof *part);
    int count = 0;
    for (int i = 0; i < s->count; i++)
        if (!failed(status_part_read(s->folder[i], i, &part[count]))) count++;
    status_page_write(f, part, count, is_in ? s->door.secret : NULL,
                      s->loopback ? "Pictures, files and buttons: open the address that was printed, with its token."
                                  : "Pictures, files and buttons are shown on the machine itself only.",
                      moment_wall_s());
    for (int i = 0; i < count; i++) status_part_clear(&part[i]);
    free(part);
}

/* Writes the page again when it is older than FRESH_MS, then sends it. */
static enum MHD_Result show(Serve *s, struct MHD_Connection *c, Made *made)
{
    if (!made->text || moment_ms() - made->made_ms >= FRESH_MS) {
        free(made->text);
        FILE *f = open_memstream(&made->text, &made->bytes);
        if (!f) abort();
        if (made == &s->metrics)
            write_metrics(s, f);
        else
            write_page(s, f, made == &s->inner_page);
        fclose(f);
        made->made_ms = moment_ms();
    }
    return serve_http_answer(c, MHD_HTTP_OK, made == &s->metrics ? METRICS_TYPE : "text/html; charset=utf-8",
                             made->text, made->bytes);
}

/* ---- files ---- */

/* Only the report is shown as a page: the customers' pages in clips/ are made from a template with scripts of its own. */
static const char *type_of(const char *name)
{
    static const char *const type[][2] = {{".html", "text/html; charset=utf-8"},
                                          {".csv", "text/csv; charset=utf-8"},
                                          {".log", "text/plain; charset=utf-8"},
                                          {".vtt", "text/vtt; charset=utf-8"},
                                          {".png", "image/png"},
                                          {".jpg", "image/jpeg"},
                                          {".gif", "image/gif"},
                                          {".mp4", "video/mp4"}};
    for (size_t i = 0; i < sizeof type / sizeof *type; i++) {
        size_t n = strlen(name), end = strlen(type[i][0]);
        if (n > end && strcmp(name + n - end, type[i][0]) == 0)
            return i > 0 || strncmp(name, "report/", 7) == 0 ? type[i][1] : "text/plain; charset=utf-8";
    }
    return "application/octet-stream";
}

/* Only files that the page or the report has links to. */
static bool may_be_seen(const char *name)
{
    static const char *const folder[] = {"report/", "clips/", "logs/"};
    for (const char *at = name; at; at = strchr(at, '/')) {
        at += *at == '/';
        if (*at == '.' || *at == '/' || !*at) return false;
    }
    for (size_t i = 0; i < sizeof folder / sizeof *folder; i++)
        if (strncmp(name, folder[i], strlen(folder[i])) == 0) return true;
    return strcmp(name, "delivery.csv") == 0;
}

/* /c/0/clips/anna.mp4 */
static enum MHD_Result show_file(const Serve *s, struct MHD_Connection *c, const char *path)
{
    char *name;
    const long number = strtol(path, &name, 10);
    if (name == path || *name != '/' || number < 0 || number >= s->count || !may_be_seen(name + 1))
        return serve_http_refuse(c, MHD_HTTP_NOT_FOUND, "no such file\n");
    return serve_http_file(c, s->folder[number], name + 1, type_of(name), true);
}

/* ---- buttons ---- */

static Status leave_request(const char *folder, const char *verb, bool *goes_on)
{
    static const char *const known[] = {"pause", "resume", "approve", "retry"};
    Ledger *l = NULL;
    Snapshot now;
    bool good = false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) good = good || strcmp(verb, known[i]) == 0;
    if (!good) return status_fail(ERR_INPUT, "no such button");
    TRY(ledger_open(folder, LEDGER_READ, &l));
    Status status = ledger_read_snapshot(l, &now);
    ledger_close(&l);
    TRY(status);
    *goes_on = snapshot_goes_on(&now, moment_wall_s());
    snapshot_clear(&now);
    TRY(ledger_open(folder, LEDGER_WRITE, &l));
    char nothing[] = "";
    const LedgerRequest r = {.verb = (char *)(uintptr_t)verb, .clip_id = nothing, .filter = nothing};
    status = ledger_request(l, &r, moment_wall_s());
    ledger_close(&l);
    return status;
}

static enum MHD_Result take_button(Serve *s, struct MHD_Connection *c, const ServeBody *b)
{
    static const char expected[] = "expected {campaign, verb}\n";
    enum MHD_Result done = MHD_NO;
    bool goes_on = false;
    if (!serve_door_has_secret(&s->door, c)) return serve_http_refuse(c, MHD_HTTP_FORBIDDEN, "load the page again\n");
    json_t *wish = serve_body_object(b, c, &done, expected);
    if (!wish) return done;
    const char *verb = json_string_value(json_object_get(wish, "verb"));
    const json_int_t number = json_integer_value(json_object_get(wish, "campaign"));
    Status status = !verb || number < 0 || number >= s->count || !json_is_integer(json_object_get(wish, "campaign"))
                        ? status_fail(ERR_INPUT, "%s", expected)
                        : leave_request(s->folder[number], verb, &goes_on);
    s->inner_page.made_ms = 0;
    done = failed(status)
               ? serve_http_refuse(c, status.err == ERR_INPUT ? MHD_HTTP_BAD_REQUEST : MHD_HTTP_INTERNAL_SERVER_ERROR,
                                   status.message)
               : serve_http_json(c, json_pack("{s:s}", "message",
                                              goes_on ? "asked for; the run takes it up within a second"
                                                      : "asked for; no run is going on: the next one takes "
                                                        "it up"));
    json_decref(wish);
    return done;
}

/* ---- requests ---- */

static enum MHD_Result show_url(Serve *s, struct MHD_Connection *c, const char *url)
{
    const bool is_in = s->loopback && serve_door_is_in(&s->door, c);
    if (is_in) serve_room_vouch(&s->room, c);
    const ServeText *text = serve_text_find(status_page_text, url);
    if (text) return serve_http_text(c, text);
    if (strcmp(url, "/favicon.ico") == 0) return serve_http_answer(c, MHD_HTTP_NO_CONTENT, NULL, "", 0);
    if (strcmp(url, "/metrics") == 0) return show(s, c, &s->metrics);
    if (strcmp(url, "/") == 0 && s->loopback && serve_http_argument(c, "token")) return serve_door_let_in(&s->door, c);
    if (strcmp(url, "/") == 0) {
        s->looked_ms = moment_ms();
        return show(s, c, is_in ? &s->inner_page : &s->page);
    }
    if (strncmp(url, "/c/", 3) == 0 && is_in) return show_file(s, c, url + 3);
    return serve_http_refuse(c, MHD_HTTP_NOT_FOUND, "/ or /metrics\n");
}

static enum MHD_Result take(void *self, struct MHD_Connection *c, const char *url, const char *method,
                            const char *version, const char *data, size_t *bytes, void **request)
{
    Serve *s = self;
    const bool post = strcmp(method, "POST") == 0;
    (void)version;
    if (serve_body_comes(request, SERVE_MOST_BODY, data, bytes)) return MHD_YES;
    if (s->loopback && !serve_door_is_own(c))
        return serve_http_refuse(c, MHD_HTTP_FORBIDDEN, "ask for localhost, and not from another site\n");
    if (post && strcmp(url, "/steer") == 0 && s->loopback && serve_door_is_in(&s->door, c))
        return take_button(s, c, *request);
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) return show_url(s, c, url);
    return serve_http_refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "nothing can be changed here\n");
}

/* ---- where ---- */

typedef union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} Address;

static bool parse_port(const char *text, in_port_t *port)
{
    size_t n = strlen(text);
    unsigned long value = strtoul(text, NULL, 10);
    if (n < 1 || n > 5 || strspn(text, "0123456789") != n || value > 65535) return false;
    *port = htons((uint16_t)value);
    return true;
}

static Status parse_where(const char *where, Address *to, bool *loopback)
{
    char host[64] = "127.0.0.1";
    in_port_t port = 0;
    const char *colon = strrchr(where, ':'), *from = where;
    size_t length = colon ? (size_t)(colon - where) : 0;
    if (length >= 2 && where[0] == '[' && where[length - 1] == ']') from++, length -= 2;
    if (colon && length < sizeof host) snprintf(host, sizeof host, "%.*s", (int)length, from);
    memset(to, 0, sizeof *to);
    bool good = parse_port(colon ? colon + 1 : where, &port);
    if (good && inet_pton(AF_INET, host, &to->v4.sin_addr) == 1) {
        to->v4.sin_family = AF_INET;
        to->v4.sin_port = port;
        *loopback = ntohl(to->v4.sin_addr.s_addr) >> 24 == 127;
        return status_ok();
    }
    if (good && inet_pton(AF_INET6, host, &to->v6.sin6_addr) == 1) {
        to->v6.sin6_family = AF_INET6;
        to->v6.sin6_port = port;
        *loopback = IN6_IS_ADDR_LOOPBACK(&to->v6.sin6_addr);
        return status_ok();
    }
    return status_fail(ERR_INPUT, "--listen %.64s: expected PORT, or ADDRESS:PORT as in 127.0.0.1:9464 or [::1]:9464",
                       where);
}

/* The library's thread gets no signals: they are for the thread that leads the run. */
static struct MHD_Daemon *start_daemon(Serve *s, Address *to)
{
    sigset_t all, before;
    unsigned how =
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | (to->any.sa_family == AF_INET6 ? MHD_USE_IPv6 : 0u);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct MHD_Daemon *d =
        MHD_start_daemon(how, 0, NULL, NULL, take, s, MHD_OPTION_SOCK_ADDR, &to->any, MHD_OPTION_CONNECTION_LIMIT,
                         (unsigned)SERVE_MOST_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S,
                         MHD_OPTION_NOTIFY_CONNECTION, serve_room_keep, &s->room, MHD_OPTION_NOTIFY_COMPLETED,
                         serve_body_end, NULL, MHD_OPTION_END);
    int why = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = why;
    return d;
}

Status serve_start(const char *where, const char *const *folder, int count, Serve **out)
{
    Address to;
    Serve *s = memory_get(1, sizeof *s);
    Status status = parse_where(where, &to, &s->loopback);
    serve_room_init(&s->room);
    *out = NULL;
    for (int i = 0; i < count && i < MOST_FOLDERS; i++) s->folder[s->count++] = text_copy(folder[i]);
    s->looked_ms = INT64_MIN / 2;
    if (!failed(status) && count > MOST_FOLDERS)
        status = status_fail(ERR_INPUT, "--listen: %d campaigns, expected at most %d", count, MOST_FOLDERS);
    if (!failed(status)) status = serve_door_make(&s->door);
    if (!failed(status) && !(s->daemon = start_daemon(s, &to)))
        status = status_errno(ERR_INPUT, "--listen %s: cannot listen there", where);
    if (failed(status)) {
        serve_stop(&s);
        return status;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT);
    s->port = info ? info->port : 0;
    serve_door_set_port(&s->door, s->port);
    char host[INET_ADDRSTRLEN] = "[::1]"; /* of IPv6 the one loopback address */
    if (to.any.sa_family == AF_INET) inet_ntop(AF_INET, &to.v4.sin_addr, host, sizeof host);
    s->address = s->loopback ? text_format("http://%s:%d/?token=%s", host, s->port, s->door.token)
                             : text_format("port %d", s->port);
    if (!s->loopback)
        log_line(LOG_WARNING, "--listen %s: whoever reaches this address can read the customers' ids there", where);
    *out = s;
    return status_ok();
}

void serve_stop(Serve **s)
{
    if (!*s) return;
    if ((*s)->daemon) MHD_stop_daemon((*s)->daemon);
    for (int i = 0; i < (*s)->count; i++) free((*s)->folder[i]);
    free((*s)->address);
    free((*s)->page.text);
    free((*s)->inner_page.text);
    free((*s)->metrics.text);
    free(*s);
    *s = NULL;
}

void serve_last_look(const Serve *s)
{
    enum { PAGE_MS = STATUS_PAGE_REFRESH_S * 1000 + LAST_LOOK_MS };
    const int64_t end_ms = moment_ms() + PAGE_MS;
    if (!s || moment_ms() - s->looked_ms > PAGE_MS) return;
    while (moment_ms() < end_ms && moment_stops() == 0) moment_sleep_ms(FRESH_MS / 5);
}

const char *serve_address(const Serve *s) { return s->address; }
int serve_port(const Serve *s) { return s->port; }
