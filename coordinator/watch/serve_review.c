#include "serve_review.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <microhttpd.h>

#include "common/file.h"
#include "coordinator/ledger/view.h"

enum { MOST_CONNECTIONS = 32, TIMEOUT_S = 15, MOST_BODY = 1 << 20, MOST_CLIPS = 20000, SECRET_TEXT = 33 };

struct ReviewServer {
    struct MHD_Daemon *daemon;
    char *folder, *address;
    ReviewHost host;
    char token[SECRET_TEXT], session[SECRET_TEXT], secret[SECRET_TEXT];
    bool token_used;
    int port;
};

typedef struct { /* of a POST, while it comes */
    char *data;
    size_t bytes;
    bool too_long;
} Body;

static bool make_secret(char out[SECRET_TEXT])
{
    uint8_t raw[16];
    if (getrandom(raw, sizeof raw, 0) != sizeof raw) return false;
    for (int i = 0; i < 16; i++) snprintf(out + 2 * i, 3, "%02x", raw[i]);
    return true;
}

static bool is_same(const char *a, const char *b) /* in a time that does not say where they differ */
{
    unsigned differs = !a || strlen(a) != strlen(b);
    for (size_t i = 0; !differs && b[i]; i++) differs |= (unsigned)(a[i] ^ b[i]);
    return !differs;
}

/* ---- answers ------------------------------------------------------------------------------------------------------------- */

static enum MHD_Result send_response(struct MHD_Connection *c, unsigned code, const char *type, struct MHD_Response *r)
{
    static const char *const header[][2] = {{"Content-Security-Policy",
                                             "default-src 'none'; style-src 'self'; script-src 'self'; connect-src "
                                             "'self'; img-src 'self'; media-src 'self'; "
                                             "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
                                            {"X-Content-Type-Options", "nosniff"},
                                            {"Referrer-Policy", "no-referrer"},
                                            {"Cross-Origin-Resource-Policy", "same-origin"},
                                            {"Cache-Control", "no-store"}};
    if (!r) return MHD_NO;
    if (type) MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    for (size_t i = 0; i < sizeof header / sizeof *header; i++) MHD_add_response_header(r, header[i][0], header[i][1]);
    const enum MHD_Result done = MHD_queue_response(c, code, r);
    MHD_destroy_response(r);
    return done;
}

static enum MHD_Result answer(struct MHD_Connection *c, unsigned code, const char *type, const char *text, size_t bytes)
{
    return send_response(c, code, type,
                         MHD_create_response_from_buffer(bytes, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY));
}

static enum MHD_Result refuse(struct MHD_Connection *c, unsigned code, const char *text)
{
    return answer(c, code, "text/plain; charset=utf-8", text, strlen(text));
}

static enum MHD_Result answer_json(struct MHD_Connection *c, json_t *j)
{
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    const enum MHD_Result done = text ? answer(c, MHD_HTTP_OK, "application/json", text, strlen(text))
                                      : refuse(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "no answer\n");
    free(text);
    return done;
}

static enum MHD_Result answer_failure(struct MHD_Connection *c, Status why)
{
    return refuse(c, why.err == ERR_INPUT ? MHD_HTTP_NOT_FOUND : MHD_HTTP_INTERNAL_SERVER_ERROR, why.message);
}

/* ---- what is shown --------------------------------------------------------------------------------------------------------- */

static Status add_clip(void *self, const ClipRow *r)
{
    if (*r->sha256) json_array_append_new(self, json_pack("{s:s, s:s}", "clip", r->clip_id, "state", r->state));
    return status_ok();
}

static Status read_all(const ReviewServer *s, json_t **out)
{
    Ledger *l;
    Snapshot now = {0};
    json_t *clips = json_array();
    TRY(ledger_open(s->folder, LEDGER_READ, &l));
    Status status = ledger_read_snapshot(l, &now);
    if (!failed(status)) status = ledger_read_clips(l, NULL, (ClipSink){add_clip, clips});
    if (!failed(status)) *out = json_pack("{s:s, s:s, s:O}", "campaign", now.name, "secret", s->secret, "clips", clips);
    snapshot_clear(&now);
    ledger_close(&l);
    json_decref(clips);
    return status;
}

typedef struct {
    json_t *details, *columns;
    char *file[3]; /* video, thumbnail, sheet */
} Found;

static Status take_clip(void *self, const ClipRow *r)
{
    Found *f = self;
    json_t *document = *r->result ? json_loads(r->result, 0, NULL) : NULL, *row = json_loads(r->customer, 0, NULL);
    json_t *gates = json_object_get(json_object_get(document, "gates"), "gates");
    f->details = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:O, s:O}", "clip", r->clip_id, "state", r->state,
                           "reason", r->reason, "reviewer", r->reviewer, "prompt", r->prompt, "sha256", r->sha256,
                           "gates", gates ? json_incref(gates) : json_object(), "row", row, "columns", f->columns);
    json_decref(document);
    json_decref(row);
    f->file[0] = text_copy(r->file);
    f->file[1] = text_copy(r->thumbnail);
    f->file[2] = text_copy(r->sheet);
    return status_ok();
}

static void clear_found(Found *f)
{
    for (int i = 0; i < 3; i++) free(f->file[i]);
    json_decref(f->details);
    json_decref(f->columns);
    *f = (Found){0};
}

static Status find_clip(const ReviewServer *s, const char *id, Found *out)
{
    Ledger *l;
    char *columns = NULL;
    *out = (Found){0};
    TRY(ledger_open(s->folder, LEDGER_READ, &l));
    Status status = ledger_read_columns(l, &columns);
    out->columns = columns ? json_loads(columns, 0, NULL) : NULL;
    if (!out->columns) out->columns = json_array();
    if (!failed(status)) status = ledger_read_clips(l, id ? id : "", (ClipSink){take_clip, out});
    ledger_close(&l);
    free(columns);
    if (!failed(status) && !out->details) status = status_fail(ERR_INPUT, "no such clip\n");
    return status;
}

static const char *argument(struct MHD_Connection *c, const char *name)
{
    return MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, name);
}

static enum MHD_Result show_clip(const ReviewServer *s, struct MHD_Connection *c)
{
    Found f;
    Status status = find_clip(s, argument(c, "id"), &f);
    const enum MHD_Result done = failed(status) ? answer_failure(c, status) : answer_json(c, json_incref(f.details));
    clear_found(&f);
    return done;
}

/* "bytes=100-" or "bytes=100-199"; false: all of it. */
static bool parse_range(const char *text, off_t size, off_t *from, off_t *to)
{
    long long first, last = size - 1;
    char rest;
    if (!text || size < 1) return false;
    const int n = sscanf(text, "bytes=%lld-%lld%c", &first, &last, &rest);
    if (n < 1 || n > 2 || first < 0 || first >= size || last < first) return false;
    *from = first;
    *to = last < size ? last : size - 1;
    return true;
}

/* Only what the ledger names, and only a plain file. */
static enum MHD_Result send_file(const ReviewServer *s, struct MHD_Connection *c, const char *name, const char *type)
{
    struct stat of;
    off_t from = 0, to = 0;
    char *path = path_join(s->folder, name), text[96];
    const int f = *name ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    free(path);
    if (f < 0 || fstat(f, &of) != 0 || !S_ISREG(of.st_mode)) {
        if (f >= 0) close(f);
        return refuse(c, MHD_HTTP_NOT_FOUND, "the file is not there\n");
    }
    const bool part =
        parse_range(MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_RANGE), of.st_size, &from, &to);
    if (!part) to = of.st_size - 1;
    struct MHD_Response *r = MHD_create_response_from_fd_at_offset64((uint64_t)(to - from + 1), f, (uint64_t)from);
    if (!r) {
        close(f);
        return MHD_NO;
    }
    MHD_add_response_header(r, MHD_HTTP_HEADER_ACCEPT_RANGES, "bytes");
    snprintf(text, sizeof text, "bytes %lld-%lld/%lld", (long long)from, (long long)to, (long long)of.st_size);
    if (part) MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_RANGE, text);
    return send_response(c, part ? MHD_HTTP_PARTIAL_CONTENT : MHD_HTTP_OK, type, r);
}

static enum MHD_Result show_file(const ReviewServer *s, struct MHD_Connection *c)
{
    static const char *const what[][2] = {{"video", "video/mp4"}, {"thumbnail", "image/png"}, {"sheet", "image/png"}};
    const char *wanted = argument(c, "what");
    Found f;
    Status status = find_clip(s, argument(c, "id"), &f);
    enum MHD_Result done = MHD_NO;
    int i = 0;
    while (i < 3 && (!wanted || strcmp(wanted, what[i][0]) != 0)) i++;
    if (failed(status))
        done = answer_failure(c, status);
    else if (i == 3)
        done = refuse(c, MHD_HTTP_NOT_FOUND, "what: video, thumbnail or sheet\n");
    else
        done = send_file(s, c, f.file[i], what[i][1]);
    clear_found(&f);
    return done;
}

/* ---- decisions --------------------------------------------------------------------------------------------------------------- */

/* What every named clip is now, and the first thing that went wrong. */
static json_t *decide_all(const ReviewServer *s, const json_t *wish)
{
    const char *verb = json_string_value(json_object_get(wish, "verb")),
               *by = json_string_value(json_object_get(wish, "by"));
    const char *reason = json_string_value(json_object_get(wish, "reason"));
    const json_t *clips = json_object_get(wish, "clips"), *seen = json_object_get(wish, "seen");
    json_t *states = json_object(), *message = json_null(), *one;
    size_t i;
    json_array_foreach(clips, i, one)
    {
        const char *clip = json_string_value(one), *was = json_string_value(json_array_get(seen, i));
        if (!clip || i >= MOST_CLIPS) continue;
        Status status =
            s->host.decide(s->host.self, verb ? verb : "", clip, was ? was : "", by ? by : "", reason ? reason : "");
        if (failed(status) && json_is_null(message)) message = json_string(status.message);
        Found f;
        if (!failed(find_clip(s, clip, &f))) json_object_set(states, clip, json_object_get(f.details, "state"));
        clear_found(&f);
    }
    return json_pack("{s:o, s:o}", "states", states, "message", message);
}

static enum MHD_Result take_decision(const ReviewServer *s, struct MHD_Connection *c, const Body *b)
{
    if (!is_same(MHD_lookup_connection_value(c, MHD_HEADER_KIND, "X-Review"), s->secret))
        return refuse(c, MHD_HTTP_FORBIDDEN, "load the page again\n");
    if (b->too_long) return refuse(c, MHD_HTTP_CONTENT_TOO_LARGE, "too many at once\n");
    json_error_t error;
    json_t *wish = json_loadb(b->data ? b->data : "", b->bytes, 0, &error);
    const bool good = json_is_object(wish) && json_is_array(json_object_get(wish, "clips"));
    const enum MHD_Result done = good ? answer_json(c, decide_all(s, wish))
                                      : refuse(c, MHD_HTTP_BAD_REQUEST, "expected {verb, clips, seen, by, reason}\n");
    json_decref(wish);
    return done;
}

/* ---- requests ------------------------------------------------------------------------------------------------------------------ */

static bool is_own(const ReviewServer *s, const char *text, const char *before)
{
    static const char *const host[] = {"127.0.0.1", "localhost"};
    char own[64];
    for (size_t i = 0; i < sizeof host / sizeof *host; i++) {
        snprintf(own, sizeof own, "%s%s:%d", before, host[i], s->port);
        if (text && strcasecmp(text, own) == 0) return true;
    }
    return false;
}

/* The token is good for one browser: it gets the session's cookie. */
static enum MHD_Result let_in(ReviewServer *s, struct MHD_Connection *c)
{
    char cookie[128];
    if (s->token_used || !is_same(argument(c, "token"), s->token))
        return refuse(c, MHD_HTTP_FORBIDDEN, "this address works once; `reelwright review` prints a new one\n");
    s->token_used = true;
    struct MHD_Response *r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    snprintf(cookie, sizeof cookie, "review=%s; HttpOnly; SameSite=Strict; Path=/", s->session);
    if (r) MHD_add_response_header(r, MHD_HTTP_HEADER_SET_COOKIE, cookie);
    if (r) MHD_add_response_header(r, MHD_HTTP_HEADER_LOCATION, "/");
    return send_response(c, MHD_HTTP_SEE_OTHER, NULL, r);
}

static enum MHD_Result get(ReviewServer *s, struct MHD_Connection *c, const char *url)
{
    for (const ReviewText *t = serve_review_text; t->path; t++)
        if (strcmp(url, t->path) == 0) return answer(c, MHD_HTTP_OK, t->type, (const char *)t->data, t->bytes);
    if (strcmp(url, "/clip.json") == 0) return show_clip(s, c);
    if (strcmp(url, "/file") == 0) return show_file(s, c);
    if (strcmp(url, "/clips.json") != 0) return refuse(c, MHD_HTTP_NOT_FOUND, "no such page\n");
    json_t *all = NULL;
    Status status = read_all(s, &all);
    return failed(status) ? answer_failure(c, status) : answer_json(c, all);
}

static void add_data(Body *b, const char *data, size_t bytes)
{
    b->too_long = b->too_long || b->bytes + bytes > MOST_BODY;
    if (b->too_long) return;
    b->data = memory_resize(b->data, b->bytes + bytes, 1);
    memcpy(b->data + b->bytes, data, bytes);
    b->bytes += bytes;
}

static enum MHD_Result take(void *self, struct MHD_Connection *c, const char *url, const char *method,
                            const char *version, const char *data, size_t *bytes, void **request)
{
    ReviewServer *s = self;
    const bool post = strcmp(method, "POST") == 0, read = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    (void)version;
    if (!*request) {
        *request = memory_get(1, sizeof(Body));
        return MHD_YES;
    }
    if (post && *bytes) {
        add_data(*request, data, *bytes);
        *bytes = 0;
        return MHD_YES;
    }
    if (!is_own(s, MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST), ""))
        return refuse(c, MHD_HTTP_FORBIDDEN, "ask for 127.0.0.1\n");
    const char *origin = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ORIGIN);
    if (origin && !is_own(s, origin, "http://")) return refuse(c, MHD_HTTP_FORBIDDEN, "not from another site\n");
    if (read && strcmp(url, "/") == 0 && argument(c, "token")) return let_in(s, c);
    if (!is_same(MHD_lookup_connection_value(c, MHD_COOKIE_KIND, "review"), s->session))
        return refuse(c, MHD_HTTP_FORBIDDEN, "use the address that `reelwright review` printed\n");
    if (post && strcmp(url, "/decide") == 0) return take_decision(s, c, *request);
    return read ? get(s, c, url) : refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "GET, or POST /decide\n");
}

static void end_request(void *self, struct MHD_Connection *c, void **request, enum MHD_RequestTerminationCode how)
{
    Body *b = *request;
    (void)self, (void)c, (void)how;
    if (!b) return;
    free(b->data);
    free(b);
    *request = NULL;
}

/* ---- start and stop -------------------------------------------------------------------------------------------------------------- */

Status serve_review_start(const char *folder, int port, ReviewHost host, ReviewServer **out)
{
    ReviewServer *s = *out = memory_get(1, sizeof *s);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    sigset_t all, before;
    s->folder = text_copy(folder);
    s->host = host;
    bool good = make_secret(s->token) && make_secret(s->session) && make_secret(s->secret);
    sigfillset(&all); /* signals are for the thread that waits for them */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (good)
        s->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, take, s, MHD_OPTION_SOCK_ADDR, &to,
                                     MHD_OPTION_NOTIFY_COMPLETED, end_request, NULL, MHD_OPTION_CONNECTION_LIMIT,
                                     (unsigned)MOST_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S,
                                     MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    const union MHD_DaemonInfo *info = s->daemon ? MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT) : NULL;
    if (!info) {
        serve_review_stop(out);
        return status_errno(ERR_INPUT, "--port %d: cannot listen there", port);
    }
    s->port = info->port;
    s->address = text_format("http://127.0.0.1:%d/?token=%s", s->port, s->token);
    return status_ok();
}

void serve_review_stop(ReviewServer **s)
{
    if (!*s) return;
    if ((*s)->daemon) MHD_stop_daemon((*s)->daemon);
    free((*s)->folder);
    free((*s)->address);
    free(*s);
    *s = NULL;
}

const char *serve_review_address(const ReviewServer *s) { return s->address; }
