/** Path and query as they are spelt: the URL class would write some characters in another way. */
export interface Target {
  readonly path: string;
  /** With its "?"; empty when there is none. */
  readonly query: string;
}

/** Of an absolute URL. */
export function targetOf(url: string): Target {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  const target = start === -1 ? "/" : url.slice(start);
  const mark = target.indexOf("?");
  return mark === -1
    ? { path: target, query: "" }
    : { path: target.slice(0, mark), query: target.slice(mark) };
}
