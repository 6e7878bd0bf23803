/** Which version of the mesh document holds for a node's requests: its workers have it, or it says nothing new to them. */

export interface MadeFrom {
  /** Of the mesh document; 0 while none is known. */
  readonly document: number;
  /** All that a snapshot is made of, as text. */
  readonly inputs: string;
}

/** The same, with a text that costs something to make. */
export interface Known extends Pick<MadeFrom, "document"> {
  inputs(): string;
}

export class LiveDocument {
  readonly #tell: (version: number) => void;
  /** What the snapshot was made of that was loaded last. */
  #loaded: (MadeFrom & { readonly snapshot: number }) | null = null;
  #liveInputs: string | null = null;
  #told = 0;

  constructor(tell: (version: number) => void) {
    this.#tell = tell;
  }

  /** The version that holds; null before there is one. */
  get version(): number | null {
    return this.#told === 0 ? null : this.#told;
  }

  loaded(snapshot: number, from: MadeFrom): void {
    this.#loaded = { ...from, snapshot };
  }

  /** This snapshot is live; `now` is what one would be made of now. */
  serves(snapshot: number, now: Known): void {
    if (this.#loaded?.snapshot !== snapshot) return;
    this.#liveInputs = this.#loaded.inputs;
    this.#say(this.#loaded.document);
    this.heard(now);
  }

  /** Another version of the document may be known. */
  heard({ document, inputs }: Known): void {
    if (document !== this.#told && inputs() === this.#liveInputs) this.#say(document);
  }

  /** An earlier one too: a coordinator that lost its store counts from 1 again. */
  #say(version: number): void {
    if (version === 0 || version === this.#told) return;
    this.#told = version;
    this.#tell(version);
  }
}
