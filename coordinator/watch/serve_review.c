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

enum {
    MOST_CONNECTIONS = 64,
    THREADS = 4,
    TIMEOUT_S = 15,
    MOST_BODY = 4 << 20,
    MOST_CLIPS = 20000,
    MOST_REVIEWERS = 32,
    MOST_WHERE = 16,
    MOST_NAME = 80,
    MOST_REASON = 500,
    SECRET_TEXT = 33
};

struct ReviewServer {
    struct MHD_Daemon *daemon;
    char *folder;
    ReviewHost host;
    int port;
    char secret[SECRET_TEXT];
    pthread_mutex_t mutex; /* of what follows */
    char token[SECRET_TEXT], session[MOST_REVIEWERS][SECRET_TEXT];
    int sessions;
};

typedef struct { /* of a POST, while it comes */
    char *data;
    size_t bytes;
    bool too_long, wanted; /* wanted: of somebody who may decide; else it is read and thrown away */
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
                                            {"Cross-Origin-Opener-Policy", "same-origin"},
                                            {"X-Frame-Options", "DENY"},
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

static enum MHD_Result answer_failure(struct MHD_Connection *c, unsigned code, Status why)
{
    return refuse(c, why.err == ERR_INPUT ? code : MHD_HTTP_INTERNAL_SERVER_ERROR, why.message);
}

/* ---- what is shown --------------------------------------------------------------------------------------------------------- */

static const char *argument(struct MHD_Connection *c, const char *name)
{
    const char *text = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, name);
    return text ? text : "";
}

typedef struct {
    const char *where[MOST_WHERE];
    int count;
} Where;

static enum MHD_Result take_where(void *self, enum MHD_ValueKind kind, const char *key, const char *value)
{
    Where *w = self;
    (void)kind;
    if (strcmp(key, "where") == 0 && value && w->count < MOST_WHERE) w->where[w->count++] = value;
    return MHD_YES;
}

static enum MHD_Result show_clips(const ReviewServer *s, struct MHD_Connection *c)
{
    Where w = {.count = 0};
    json_t *all = NULL;
    MHD_get_connection_values(c, MHD_GET_ARGUMENT_KIND, take_where, &w);
    const ReviewSearch search = {w.where, w.count, argument(c, "text"), argument(c, "seen")};
    Status status = serve_review_list(s->folder, &search, s->secret, &all);
    if (failed(status)) return answer_failure(c, MHD_HTTP_BAD_REQUEST, status);
    return all ? answer_json(c, all) : answer(c, MHD_HTTP_NO_CONTENT, NULL, "", 0);
}

static enum MHD_Result show_clip(const ReviewServer *s, struct MHD_Connection *c)
{
    ReviewClip clip;
    Status status = serve_review_clip(s->folder, argument(c, "id"), &clip);
    const enum MHD_Result done =
        failed(status) ? answer_failure(c, MHD_HTTP_NOT_FOUND, status) : answer_json(c, json_incref(clip.details));
    serve_review_clear(&clip);
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
    const char *wanted = argument(c, "what");
    ReviewClip clip;
    int i = 0;
    while (i < REVIEW_FILES && strcmp(wanted, serve_review_file[i][0]) != 0) i++;
    if (i == REVIEW_FILES) return refuse(c, MHD_HTTP_NOT_FOUND, "what: video, thumbnail, sheet or earlier\n");
    Status status = serve_review_clip(s->folder, argument(c, "id"), &clip);
    const enum MHD_Result done = failed(status) ? answer_failure(c, MHD_HTTP_NOT_FOUND, status)
                                                : send_file(s, c, clip.file[i], serve_review_file[i][1]);
    serve_review_clear(&clip);
    return done;
}

/* ---- decisions --------------------------------------------------------------------------------------------------------------- */

typedef struct { /* texts borrowed from the wish */
    char verb[32];
    LedgerRequest *request;
    RequestAnswer *answer;
    int64_t count;
} Wish;

static void clear_wish(Wish *w)
{
    free(w->request);
    free(w->answer);
}

static char *text_in(const json_t *wish, const char *key)
{
    const char *text = json_string_value(json_object_get(wish, key));
    return (char *)(uintptr_t)(text ? text : "");
}

/* NULL, or what is wrong with it. */
static const char *read_wish(const json_t *j, Wish *w)
{
    static const char *const known[] = {"approve", "reject", "rerender", "reopen"};
    const json_t *clips = json_object_get(j, "clips"), *seen = json_object_get(j, "seen");
    const char *verb = text_in(j, "verb");
    char *by = text_in(j, "by"), *reason = text_in(j, "reason");
    bool good = false;
    *w = (Wish){.count = (int64_t)json_array_size(clips)};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) good = good || strcmp(verb, known[i]) == 0;
    if (!good || !json_is_array(clips) || json_array_size(seen) != (size_t)w->count || w->count > MOST_CLIPS)
        return "expected {verb, clips, seen, by, reason}\n";
    if (!by[strspn(by, " ")] || strlen(by) > MOST_NAME) return "who decides? Expected a name of at most 80 bytes\n";
    if (strlen(reason) > MOST_REASON) return "the reason: expected at most 500 bytes\n";
    if (strcmp(verb, "reject") == 0 && !reason[strspn(reason, " ")]) return "a rejection needs a reason\n";
    snprintf(w->verb, sizeof w->verb, "review %s", verb);
    w->request = memory_get((size_t)w->count + 1, sizeof *w->request);
    w->answer = memory_get((size_t)w->count + 1, sizeof *w->answer);
    for (int64_t i = 0; i < w->count; i++) {
        const json_t *clip = json_array_get(clips, (size_t)i), *was = json_array_get(seen, (size_t)i);
        if (!json_is_string(clip) || !*json_string_value(clip) || !json_is_string(was)) return "clips, seen: texts\n";
        w->request[i] = (LedgerRequest){.verb = w->verb,
                                        .clip_id = (char *)(uintptr_t)json_string_value(clip),
                                        .filter = (char *)(uintptr_t) "",
                                        .reviewer = by,
                                        .reason = reason,
                                        .seen = (char *)(uintptr_t)json_string_value(was)};
    }
    return NULL;
}

/* {"answers": {ID: "done"...}}; the page reads the list anew for the rest. */
static enum MHD_Result decide(const ReviewServer *s, struct MHD_Connection *c, Wish *w)
{
    static const char *const name[OUTCOMES] = {"open", "done", "noted", "other", "nothing"};
    Status status = s->host.decide(s->host.self, w->request, w->count, w->answer);
    if (failed(status)) return answer_failure(c, MHD_HTTP_CONFLICT, status);
    json_t *answers = json_object();
    for (int64_t i = 0; i < w->count; i++)
        json_object_set_new(answers, w->request[i].clip_id, json_string(name[w->answer[i].outcome]));
    return answer_json(c, json_pack("{s:o}", "answers", answers));
}

static bool has_secret(const ReviewServer *s, struct MHD_Connection *c)
{
    return is_same(MHD_lookup_connection_value(c, MHD_HEADER_KIND, "X-Review"), s->secret);
}

static enum MHD_Result take_decision(const ReviewServer *s, struct MHD_Connection *c, const Body *b)
{
    if (!has_secret(s, c)) return refuse(c, MHD_HTTP_FORBIDDEN, "load the page again\n");
    if (b->too_long) return refuse(c, MHD_HTTP_CONTENT_TOO_LARGE, "too many at once\n");
    json_t *j = json_loadb(b->data ? b->data : "", b->bytes, JSON_REJECT_DUPLICATES, NULL);
    Wish w;
    const char *wrong = read_wish(j, &w);
    const enum MHD_Result done = wrong ? refuse(c, MHD_HTTP_BAD_REQUEST, wrong) : decide(s, c, &w);
    clear_wish(&w);
    json_decref(j);
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

/* Browsers keep cookies by host, whatever the port: each server has its own name for it. */
static void name_cookie(const ReviewServer *s, char name[32]) { snprintf(name, 32, "review%d", s->port); }

static bool is_inside(ReviewServer *s, struct MHD_Connection *c)
{
    char name[32];
    bool found = false;
    name_cookie(s, name);
    const char *cookie = MHD_lookup_connection_value(c, MHD_COOKIE_KIND, name);
    pthread_mutex_lock(&s->mutex);
    for (int i = 0; i < s->sessions; i++) found = is_same(cookie, s->session[i]) || found;
    pthread_mutex_unlock(&s->mutex);
    return found;
}

/* A token is good for one browser; then there is another one. */
static bool enter(ReviewServer *s, const char *token, char session[SECRET_TEXT])
{
    pthread_mutex_lock(&s->mutex);
    const bool good = s->sessions < MOST_REVIEWERS && is_same(token, s->token) &&
                      make_secret(s->session[s->sessions]) && make_secret(s->token);
    if (good) memcpy(session, s->session[s->sessions++], SECRET_TEXT);
    pthread_mutex_unlock(&s->mutex);
    return good;
}

static enum MHD_Result let_in(ReviewServer *s, struct MHD_Connection *c)
{
    char cookie[128], name[32], session[SECRET_TEXT];
    if (!enter(s, argument(c, "token"), session))
        return refuse(c, MHD_HTTP_FORBIDDEN, "this address works once; `reelwright review` has printed a new one\n");
    char *next = serve_review_address(s);
    if (s->host.entered) s->host.entered(s->host.self, next);
    free(next);
    struct MHD_Response *r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    name_cookie(s, name);
    snprintf(cookie, sizeof cookie, "%s=%s; HttpOnly; SameSite=Strict; Path=/", name, session);
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
    if (strcmp(url, "/clips.json") == 0) return show_clips(s, c);
    if (strcmp(url, "/favicon.ico") == 0) return answer(c, MHD_HTTP_NO_CONTENT, NULL, "", 0); /* browsers ask for it */
    return refuse(c, MHD_HTTP_NOT_FOUND, "no such page\n");
}

static void add_data(Body *b, const char *data, size_t bytes)
{
    b->too_long = b->too_long || b->bytes + bytes > MOST_BODY;
    if (b->too_long || !b->wanted) return;
    b->data = memory_resize(b->data, b->bytes + bytes, 1);
    memcpy(b->data + b->bytes, data, bytes);
    b->bytes += bytes;
}

static enum MHD_Result count_host(void *self, enum MHD_ValueKind kind, const char *key, const char *value)
{
    int *count = self;
    (void)kind, (void)value;
    *count += strcasecmp(key, MHD_HTTP_HEADER_HOST) == 0;
    return MHD_YES;
}

/* NULL: it may go on; else why not. A page of another site has its own Origin; a name that leads here (DNS rebinding) its own Host. */
static const char *find_stranger(ReviewServer *s, struct MHD_Connection *c)
{
    int hosts = 0;
    const char *origin = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ORIGIN);
    MHD_get_connection_values(c, MHD_HEADER_KIND, count_host, &hosts);
    if (hosts != 1 || !is_own(s, MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST), ""))
        return "ask for 127.0.0.1\n";
    return origin && !is_own(s, origin, "http://") ? "not from another site\n" : NULL;
}

static enum MHD_Result take(void *self, struct MHD_Connection *c, const char *url, const char *method,
                            const char *version, const char *data, size_t *bytes, void **request)
{
    ReviewServer *s = self;
    const bool post = strcmp(method, "POST") == 0, read = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    const char *stranger = find_stranger(s, c);
    (void)version;
    if (!*request) {
        Body *b = *request = memory_get(1, sizeof *b);
        b->wanted = post && !stranger && is_inside(s, c) && has_secret(s, c);
        return MHD_YES;
    }
    if (*bytes) {
        add_data(*request, data, *bytes);
        *bytes = 0;
        return MHD_YES;
    }
    if (stranger) return refuse(c, MHD_HTTP_FORBIDDEN, stranger);
    if (read && strcmp(url, "/") == 0 && *argument(c, "token")) return let_in(s, c);
    if (!is_inside(s, c)) return refuse(c, MHD_HTTP_FORBIDDEN, "use the address that `reelwright review` printed\n");
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

static struct MHD_Daemon *start_daemon(ReviewServer *s, int port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    sigset_t all, before;
    sigfillset(&all); /* signals are for the thread that waits for them */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct MHD_Daemon *d = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, take, s, MHD_OPTION_SOCK_ADDR, &to, MHD_OPTION_NOTIFY_COMPLETED,
        end_request, NULL, MHD_OPTION_CONNECTION_LIMIT, (unsigned)MOST_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)TIMEOUT_S, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return d;
}

Status serve_review_start(const char *folder, int port, ReviewHost host, ReviewServer **out)
{
    ReviewServer *s = *out = memory_get(1, sizeof *s);
    s->folder = text_copy(folder);
    s->host = host;
    pthread_mutex_init(&s->mutex, NULL);
    if (make_secret(s->token) && make_secret(s->secret)) s->daemon = start_daemon(s, port);
    const union MHD_DaemonInfo *info = s->daemon ? MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT) : NULL;
    if (!info) {
        Status why = status_errno(ERR_INPUT, "--port %d: cannot listen there", port);
        serve_review_stop(out);
        return why;
    }
    s->port = info->port;
    return status_ok();
}

void serve_review_stop(ReviewServer **s)
{
    if (!*s) return;
    if ((*s)->daemon) MHD_stop_daemon((*s)->daemon);
    pthread_mutex_destroy(&(*s)->mutex);
    free((*s)->folder);
    free(*s);
    *s = NULL;
}

char *serve_review_address(ReviewServer *s)
{
    pthread_mutex_lock(&s->mutex);
    char *text = text_format("http://127.0.0.1:%d/?token=%s", s->port, s->token);
    pthread_mutex_unlock(&s->mutex);
    return text;
}
