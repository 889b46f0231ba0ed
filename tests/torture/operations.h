/* operations.h - what is tortured: the real operations, each in a folder of its own. */
#ifndef REELWRIGHT_TESTS_OPERATIONS_H
#define REELWRIGHT_TESTS_OPERATIONS_H

#include "common/status.h"

typedef struct {
    const char *name;
    unsigned kinds;         /* of calls that it makes: a bit for each CallKind */
    int most;               /* tries of each kind, spread evenly over its calls, when not all are asked for */
    void (*prepare)(void);  /* makes what it starts from in the working folder, which is empty; aborts when it cannot */
    Status (*run)(void);    /* frees what it made, also when it fails */
    Status (*verify)(void); /* what must hold after it succeeded */
} Operation;

extern const Operation operations[];
extern const int operation_count;

#endif
