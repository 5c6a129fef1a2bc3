// Work of the fake driver: what is in a stream's queue or in a graph, and how it is done.
#ifndef FAKE_QUEUE_H
#define FAKE_QUEUE_H

#include <stddef.h>

#include "fake_cuda.h"

extern fake_cuda control;
extern int sticky; ///< an error that all calls give from now on

typedef struct { char name[64]; int maps, words; fake_kernel run; } kernel;

/// Something in a queue or a graph.
typedef struct operation {
  enum { KERNEL, COPY, EVENT } kind;
  const kernel *what;
  int64_t items;
  unsigned char *maps;
  int64_t *words;
  void *to;
  const void *from;
  size_t bytes;
  struct event *event;
  struct operation *next;
} operation;

typedef struct event { int pending; } event;
typedef struct graph { operation *first, *last; } graph;
typedef struct { graph queue; graph *capture; bool is_invalid; } stream;

void append(graph *to, operation *one);
void release(operation *one);

/// Does what is queued, up to an event where one is given.
void drain(stream *from, const event *until);

/// Adds to the queue, or to what is being captured.
void put(stream *to, operation *one);

void destroy(graph *one);
void fill(graph *to, const graph *from);

#endif
