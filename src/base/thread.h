/* Threads: start and join, a bounded queue between them, a monotonic clock. */
#ifndef BITTERN_BASE_THREAD_H
#define BITTERN_BASE_THREAD_H

#include <bittern/status.h>

#include <pthread.h>
#include <stddef.h>

typedef struct bt_thread {
    pthread_t handle;
} bt_thread;

/** Starts `run(context)`. BT_ERR_FAILED with the system's reason. All signals are blocked in the new thread: they are
 *  handled by the thread that started the program. */
bt_status bt_thread_start(bt_thread *out, void *(*run)(void *context), void *context) BT_MUST_CHECK;

/** Waits for its end. */
void bt_thread_join(bt_thread *thread);

/** A first-in first-out queue of pointers with a fixed capacity, for any number of threads at both ends. The pointers
 * stay their users'. */
typedef struct bt_queue bt_queue;

bt_status bt_queue_new(size_t capacity, bt_queue **out) BT_MUST_CHECK;

/** No thread may be using the queue. */
void bt_queue_free(bt_queue *queue);

/** Waits while the queue is full. False, with nothing queued, if it is closed. */
bool bt_queue_push(bt_queue *queue, void *item) BT_MUST_CHECK;

/** Waits while the queue is empty. False if it is closed and everything queued before was taken. */
bool bt_queue_pop(bt_queue *queue, void **out) BT_MUST_CHECK;

/** Wakes all waiting threads; pushing fails from now on. May be called more than once. */
void bt_queue_close(bt_queue *queue);

/** Seconds since some fixed moment; never goes back. */
double bt_clock_seconds(void);

#endif
