/* The skeleton of a bird in a pose. */
#include "fen/bird.h"

#include <math.h>

#define KNOTS 8

typedef struct knot {
    double x, y, radius;
} knot;

static bt_fen_point turn(double x, double y, double angle) {
    return (bt_fen_point){x * cos(angle) - y * sin(angle), x * sin(angle) + y * cos(angle)};
}

/* Catmull-Rom between knots b and c. */
static double spline(double a, double b, double c, double d, double t) {
    return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
}

static void fill_spine(const knot k[KNOTS], bt_fen_skeleton *s) {
    for (int i = 0; i < BT_FEN_SPINE; i++) {
        double z = (double)(KNOTS - 1) * i / (BT_FEN_SPINE - 1), t;
        int b = (int)z;
        if (b > KNOTS - 2) b = KNOTS - 2;
        t = z - b;
        const knot *p = &k[b > 0 ? b - 1 : 0], *q = &k[b], *r = &k[b + 1], *w = &k[b + 2 < KNOTS ? b + 2 : KNOTS - 1];
        s->spine.x[i] = (float)spline(p->x, q->x, r->x, w->x, t);
        s->spine.y[i] = (float)spline(p->y, q->y, r->y, w->y, t);
        s->spine.radius[i] = (float)fmax(0.02, spline(p->radius, q->radius, r->radius, w->radius, t));
        s->spine.z[i] = (float)z;
    }
}

/* Direction of the neck from upright forward, radians, and how much of an S it makes. */
static void neck_way(const bt_fen_traits *t, const bt_fen_pose *pose, double *angle, double *bend) {
    double n = t->shape[BT_FEN_NECK];
    *bend = (1.25 - pose->stretch) * bt_fen_step(0.15, 0.6, n);
    switch (pose->posture) {
    case BT_FEN_FLYING:
        *angle = -0.05 + 0.25 * (1 - pose->stretch);
        break;
    case BT_FEN_FEEDING:
        *angle = n > 0.3 ? -0.75 : -0.35;
        *bend *= 0.5;
        break;
    case BT_FEN_SWIMMING:
        *angle = 1.25 + 0.1 * pose->stretch;
        break;
    default:
        *angle = 0.95 + 0.35 * pose->stretch;
        break;
    }
}

static void pose_neck(const bt_fen_traits *t, const bt_fen_pose *pose, bt_fen_point root, knot k[KNOTS],
                      bt_fen_skeleton *s) {
    double angle, bend, head = 0.5 * t->shape[BT_FEN_HEAD], width = 0.5 * t->shape[BT_FEN_NECK_WIDTH];
    neck_way(t, pose, &angle, &bend);
    bool tucked = pose->posture == BT_FEN_FLYING || pose->posture == BT_FEN_FEEDING;
    double n = t->shape[BT_FEN_NECK] * (tucked ? fmax(0.45, pose->stretch) : 0.55 + 0.45 * pose->stretch) + 0.5 * head;
    double ux = cos(angle), uy = sin(angle), nx = uy, ny = -ux; /* along the neck, and forward of it */
    double b = 0.16 * bend * n;
    k[4] = (knot){root.x, root.y, fmax(width * 1.25, 0.28 * t->shape[BT_FEN_PLUMP])};
    k[5] = (knot){root.x + ux * n * 0.42 + nx * b, root.y + uy * n * 0.42 + ny * b, width * 1.02};
    k[6] = (knot){root.x + ux * n * 0.82 - nx * b * 0.9, root.y + uy * n * 0.82 - ny * b * 0.9,
                  fmin(width * 0.95 + 0.25 * head, head)};
    double hx = root.x + ux * (n + head * 0.75) + 0.35 * head, hy = root.y + uy * (n + head * 0.75);
    k[7] = (knot){hx, hy, head * 0.96};
    s->head = (bt_fen_point){hx, hy};
    s->head_radius = head;
    s->head_angle = pose->nod - 0.06 + (pose->posture == BT_FEN_FEEDING ? -0.95 : 0);
    s->bill = turn(head * 0.80, -head * 0.05, s->head_angle);
    s->bill.x += hx;
    s->bill.y += hy;
}

static void pose_legs(const bt_fen_traits *t, const bt_fen_pose *pose, double pitch, bt_fen_skeleton *s) {
    double leg = t->shape[BT_FEN_LEG], plump = t->shape[BT_FEN_PLUMP];
    s->legs = pose->posture != BT_FEN_SWIMMING && (pose->posture != BT_FEN_FLYING || leg > 0.42);
    bt_fen_point hip = turn(-0.10, -plump * 0.36, pitch);
    double ground =
        hip.y - plump * 0.12 - leg * (pose->posture == BT_FEN_PERCHED ? fmin(1, 0.30 / fmax(leg, 0.01)) : 1);
    for (int i = 0; i < 2; i++) {
        double side = i ? 1 : -1, step = side * (0.05 + 0.16 * leg * pose->stride);
        s->hip[i] = (bt_fen_point){hip.x + 0.05 * side, hip.y};
        if (pose->posture == BT_FEN_FLYING) { /* trailing behind the tail */
            s->ankle[i] = (bt_fen_point){hip.x - 0.25 - 0.25 * leg, hip.y + 0.03 + 0.01 * side};
            s->foot[i] = (bt_fen_point){hip.x - 0.35 - 0.85 * leg, hip.y + 0.02 + 0.02 * side};
        } else {
            s->foot[i] = (bt_fen_point){hip.x + 0.06 + step, ground};
            double up = pose->posture == BT_FEN_PERCHED ? 0.5 : 0.56;
            s->ankle[i] =
                (bt_fen_point){bt_fen_mix(s->foot[i].x, s->hip[i].x, up) - 0.10 * leg, bt_fen_mix(ground, hip.y, up)};
        }
    }
    s->ground = ground;
}

static void pose_wing(const bt_fen_traits *t, const bt_fen_pose *pose, double pitch, bt_fen_skeleton *s) {
    double plump = t->shape[BT_FEN_PLUMP];
    s->spread = pose->posture == BT_FEN_FLYING;
    s->shoulder = turn(0.33, plump * 0.10, pitch);
    s->wing_tip = turn(-0.50 - t->shape[BT_FEN_WING], plump * 0.08, pitch);
    s->wing_depth = plump * 0.33;
}

static void grow(bt_fen_skeleton *s, double x, double y, double r) {
    s->least_x = fmin(s->least_x, x - r);
    s->most_x = fmax(s->most_x, x + r);
    s->least_y = fmin(s->least_y, y - r);
    s->most_y = fmax(s->most_y, y + r);
}

static void measure(const bt_fen_traits *t, const bt_fen_pose *pose, bt_fen_skeleton *s) {
    s->least_x = s->least_y = 1e9;
    s->most_x = s->most_y = -1e9;
    for (int i = 0; i < BT_FEN_SPINE; i++) grow(s, s->spine.x[i], s->spine.y[i], s->spine.radius[i]);
    double bill = s->head_angle - 0.5 * t->shape[BT_FEN_BILL_CURVE], tail = t->shape[BT_FEN_TAIL];
    grow(s, s->bill.x + t->shape[BT_FEN_BILL] * cos(bill), s->bill.y + t->shape[BT_FEN_BILL] * sin(bill), 0.03);
    grow(s, s->tail.x - tail * cos(s->tail_angle), s->tail.y - tail * sin(s->tail_angle), 0.06);
    double crest = t->shape[BT_FEN_CREST] < 0.12 ? 0 : s->head_radius * (0.7 + 2.2 * t->shape[BT_FEN_CREST]);
    double back = s->head_angle + 2.45; /* see bt_fen_draw_crest */
    grow(s, s->head.x + 0.8 * crest * cos(back), s->head.y + s->head_radius * 0.7 + 0.8 * crest * sin(back), 0.02);
    grow(s, s->wing_tip.x, s->wing_tip.y, 0.02);
    if (s->legs)
        for (int i = 0; i < 2; i++) grow(s, s->foot[i].x, s->foot[i].y, 0.04);
    if (s->spread) { /* see feathers.c: a wing's reach */
        double reach = 0.95 + 0.5 * t->shape[BT_FEN_WING];
        grow(s, s->shoulder.x - 0.35, s->shoulder.y + reach * pose->stroke, 0.10);
        grow(s, s->shoulder.x - 0.35, s->shoulder.y + reach * 0.8 * pose->stroke, 0.10);
    }
    if (pose->posture == BT_FEN_SWIMMING) s->least_y = fmin(s->least_y, s->ground - 0.06);
}

void bt_fen_skeleton_pose(const bt_fen_traits *t, const bt_fen_individual *one, const bt_fen_pose *pose,
                          bt_fen_skeleton *s) {
    double plump = t->shape[BT_FEN_PLUMP] * one->plump, pitch = pose->tilt;
    switch (pose->posture) {
    case BT_FEN_FLYING:
        pitch += 0.08;
        break;
    case BT_FEN_SWIMMING:
        pitch += 0.04;
        break;
    case BT_FEN_FEEDING:
        pitch += -0.22;
        break;
    case BT_FEN_PERCHED:
        pitch += t->shape[BT_FEN_PITCH] + 0.12;
        break;
    default:
        pitch += t->shape[BT_FEN_PITCH];
        break;
    }
    /* The belly hangs below the line from tail to breast. Local to the body, then pitched. */
    const knot body[4] = {
        {-0.50, 0.05, 0.075}, {-0.36, 0.01, 0.26 * plump}, {-0.06, -0.04, 0.50 * plump}, {0.24, -0.02, 0.47 * plump}};
    knot k[KNOTS];
    for (int i = 0; i < 4; i++) {
        bt_fen_point p = turn(body[i].x, body[i].y, pitch);
        k[i] = (knot){p.x, p.y, body[i].radius};
    }
    bt_fen_point root = turn(0.36, 0.16 * plump + 0.02, pitch);
    pose_neck(t, pose, root, k, s);
    fill_spine(k, s);
    pose_legs(t, pose, pitch, s);
    pose_wing(t, pose, pitch, s);
    s->tail = turn(-0.50, 0.05, pitch);
    s->tail_angle =
        pitch + (pose->posture == BT_FEN_SWIMMING ? -0.15 : 0) + (t->shape[BT_FEN_TAIL] < 0.2 ? -0.15 : 0.02);
    if (pose->posture == BT_FEN_SWIMMING) s->ground = -0.04 - 0.22 * plump;
    measure(t, pose, s);
}
