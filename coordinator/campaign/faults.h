/* faults.h - all that is wrong with the user's input, gathered so that it is reported at once: one line per fault,
 * each with its file, line and field: "postcards.csv:7: field id: empty; every customer needs one". The same fault in many lines is
 * told three times and then counted, so that one cause does not hide the others. A warning is about something that is allowed but may be a
 * mistake: the campaign is accepted, and its user is told. */
#ifndef REELWRIGHT_FAULTS_H
#define REELWRIGHT_FAULTS_H

#include <stdint.h>

#include "common/status.h"

enum { FAULTS_SHOWN = 100 }; /* more are counted: "and 12 more" */

typedef struct {
    const char *file;
    int line;          /* counted from 1; 0: the fault has none (a key that is missing) */
    const char *field; /* NULL: the fault belongs to no single field */
} Place;

typedef struct Faults Faults;

Faults *faults_new(void);
void faults_free(Faults **f);

/* Copies what it needs. Control characters in the text become "?": it goes to a terminal. */
void faults_add(Faults *f, Place place, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int64_t faults_count(const Faults *f);

typedef struct {   /* owned texts */
    char *id;      /* of the customer; "": the campaign's own */
    char *field;   /* key of the campaign or column, "": none */
    char *message; /* one line, with its file, line and field */
} Warning;
typedef struct {
    int count;
    Warning *warning;
} Warnings;

enum { WARNINGS_SHOWN = 100 }; /* no more are kept: who warns of rows says how many there are */
void faults_warn(Faults *f, Place place, const char *id, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Hands them over, the caller's to clear; none is left. */
Warnings faults_take_warnings(Faults *f);
void warnings_clear(Warnings *w);

/* OK when there is none, else ERR_INPUT: the faults, by file (in the order of their first fault) and line, below a
 * headline when they are several. */
Status faults_status(const Faults *f);

/* A user's value for a message: in quotes, and shortened when it is long. Use within the expression: quoted(v).text */
typedef struct {
    char text[72];
} Quoted;
Quoted quoted(const char *value);

#endif
