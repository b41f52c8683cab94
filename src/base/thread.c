/* Threads: start and join, a bounded queue between them, a monotonic clock. */
#include "base/thread.h"

#include "base/memory.h"

#include <signal.h>
#include <string.h>
#include <time.h>

bt_status bt_thread_start(bt_thread *out, void *(*run)(void *context), void *context) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_t handle;
    pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited by the new thread */
    int error = pthread_create(&handle, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) return bt_error(BT_ERR_FAILED, "cannot start a thread: %s", strerror(error));
    out->handle = handle;
    return BT_OK;
}

void bt_thread_join(bt_thread *thread) {
    int error = pthread_join(thread->handle, NULL);
    BT_ASSERT(error == 0);
}

struct bt_queue {
    pthread_mutex_t lock;
    pthread_cond_t not_full, not_empty;
    size_t capacity, count, head; /* items[head] is the oldest */
    bool closed;
    void *items[];
};

bt_status bt_queue_new(size_t capacity, bt_queue **out) {
    BT_ASSERT(capacity > 0);
    size_t bytes;
    if (!bt_memory_product(capacity, sizeof(void *), &bytes) || bytes > SIZE_MAX - sizeof(bt_queue)) {
        return bt_error(BT_ERR_MEMORY, "cannot allocate a queue of %zu: out of memory", capacity);
    }
    bt_queue *queue = bt_memory_zeroed(sizeof *queue + bytes, 1);
    if (!queue) return BT_ERR_MEMORY;
    queue->capacity = capacity;
    /* On Linux these cannot fail with default attributes. */
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->not_full, NULL);
    pthread_cond_init(&queue->not_empty, NULL);
    *out = queue;
    return BT_OK;
}

void bt_queue_free(bt_queue *queue) {
    if (!queue) return;
    pthread_cond_destroy(&queue->not_empty);
    pthread_cond_destroy(&queue->not_full);
    pthread_mutex_destroy(&queue->lock);
    bt_memory_free(queue);
}

bool bt_queue_push(bt_queue *queue, void *item) {
    pthread_mutex_lock(&queue->lock);
    while (!queue->closed && queue->count == queue->capacity) pthread_cond_wait(&queue->not_full, &queue->lock);
    bool pushed = !queue->closed;
    if (pushed) {
        queue->items[(queue->head + queue->count) % queue->capacity] = item;
        queue->count++;
        pthread_cond_signal(&queue->not_empty);
    }
    pthread_mutex_unlock(&queue->lock);
    return pushed;
}

bool bt_queue_pop(bt_queue *queue, void **out) {
    pthread_mutex_lock(&queue->lock);
    while (!queue->closed && queue->count == 0) pthread_cond_wait(&queue->not_empty, &queue->lock);
    bool popped = queue->count > 0;
    if (popped) {
        *out = queue->items[queue->head];
        queue->head = (queue->head + 1) % queue->capacity;
        queue->count--;
        pthread_cond_signal(&queue->not_full);
    }
    pthread_mutex_unlock(&queue->lock);
    return popped;
}

void bt_queue_close(bt_queue *queue) {
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    pthread_cond_broadcast(&queue->not_full);
    pthread_cond_broadcast(&queue->not_empty);
    pthread_mutex_unlock(&queue->lock);
}

double bt_clock_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
