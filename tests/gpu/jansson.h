/* jansson.h - in place of libjansson, which a GPU machine may lack: the part of its interface that configs and safetensors headers are read with
 * (https://jansson.readthedocs.io), read-only. tests/gpu alone uses it; the program has the library. */
#ifndef REELWRIGHT_TESTS_GPU_JANSSON_H
#define REELWRIGHT_TESTS_GPU_JANSSON_H

#include <stdbool.h>
#include <stddef.h>

typedef enum {
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_INTEGER,
    JSON_REAL,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL
} json_type;
typedef long long json_int_t;

typedef struct json_t {
    json_type type;
    char *text; /* of a string */
    json_int_t integer;
    double real;
    struct json_t **item; /* of an array or object */
    char **key;           /* of an object */
    size_t count;
    size_t more; /* holders beside the first */
} json_t;

typedef struct {
    int line, position; /* position: byte where reading stopped */
    char text[160];
} json_error_t;

enum { JSON_REJECT_DUPLICATES = 1, JSON_DISABLE_EOF_CHECK = 2 };

json_t *json_loadb(const char *text, size_t bytes, size_t flags, json_error_t *error);
json_t *json_load_file(const char *path, size_t flags, json_error_t *error);
json_t *json_incref(json_t *j);
void json_decref(json_t *j);
json_t *json_true(void); /* never freed */
json_t *json_false(void);

static inline bool json_is(const json_t *j, json_type t) { return j && j->type == t; }
#define json_is_object(j)  json_is(j, JSON_OBJECT)
#define json_is_array(j)   json_is(j, JSON_ARRAY)
#define json_is_string(j)  json_is(j, JSON_STRING)
#define json_is_integer(j) json_is(j, JSON_INTEGER)
#define json_is_number(j)  (json_is(j, JSON_INTEGER) || json_is(j, JSON_REAL))
#define json_is_true(j)    json_is(j, JSON_TRUE)
#define json_is_boolean(j) (json_is(j, JSON_TRUE) || json_is(j, JSON_FALSE))
#define json_is_null(j)    json_is(j, JSON_NULL)

json_t *json_object_get(const json_t *object, const char *key);
size_t json_object_size(const json_t *object);
size_t json_array_size(const json_t *array);
json_t *json_array_get(const json_t *array, size_t i);
const char *json_string_value(const json_t *j);
json_int_t json_integer_value(const json_t *j);
double json_number_value(const json_t *j);

/* key and value of the i-th pair; false beyond the last */
bool json_object_pair(const json_t *object, size_t i, const char **key, json_t **value);
#define json_object_foreach(object, name, value)                                                                       \
    for (size_t pair_ = 0; json_object_pair(object, pair_, &(name), &(value)); pair_++)

#endif
