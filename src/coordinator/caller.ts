/** A node that calls the coordinator. */
export interface Caller {
  /** What its certificate proved. */
  readonly service: string;
  /** What it calls itself: nodes of one service are told apart by it, and trust each other in that. */
  readonly node: string;
}
