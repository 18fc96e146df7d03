/** Traffic classes, highest first. A request may lower its class, never raise it. */
export const CLASSES = ['vip', 'standard', 'bulk'] as const;
export type TrafficClass = (typeof CLASSES)[number];

/** 0 is the highest class. */
export const classRank = (trafficClass: TrafficClass): number => CLASSES.indexOf(trafficClass);

export const isTrafficClass = (text: string): text is TrafficClass => (CLASSES as readonly string[]).includes(text);

/** The lower of two classes. */
export const lowerClass = (a: TrafficClass, b: TrafficClass): TrafficClass => (classRank(a) >= classRank(b) ? a : b);
