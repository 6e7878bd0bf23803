/** What was found out about texts that callers send again and again. Full, it forgets what it has known longest. */
export class BoundedMap<Value> {
  readonly #values = new Map<string, Value>();
  readonly #entriesMax: number;
  /** Of all texts together. */
  readonly #charactersMax: number;
  #characters = 0;

  constructor(bounds: { readonly entriesMax: number; readonly charactersMax: number }) {
    this.#entriesMax = bounds.entriesMax;
    this.#charactersMax = bounds.charactersMax;
  }

  get size(): number {
    return this.#values.size;
  }

  get(text: string): Value | undefined {
    return this.#values.get(text);
  }

  set(text: string, value: Value): void {
    this.delete(text);
    if (text.length > this.#charactersMax) return;
    this.#values.set(text, value);
    this.#characters += text.length;
    for (const oldest of this.#values.keys()) {
      if (this.#values.size <= this.#entriesMax && this.#characters <= this.#charactersMax) break;
      this.delete(oldest);
    }
  }

  delete(text: string): void {
    if (this.#values.delete(text)) this.#characters -= text.length;
  }

  clear(): void {
    this.#values.clear();
    this.#characters = 0;
  }
}
