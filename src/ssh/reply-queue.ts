/**
 * Sends answers in the order of the questions, though they may be found in another. SSH replies carry no
 * number: their order is all that says what they answer (RFC 4254, 4 and 5.4).
 */
export class ReplyQueue<T> {
  readonly #send: (answer: T) => void;
  readonly #waiting: { answer: { value: T } | undefined }[] = [];

  constructor(send: (answer: T) => void) {
    this.#send = send;
  }

  /** Questions without an answer. */
  get length(): number {
    return this.#waiting.length;
  }

  /** Takes a place for one question. Only the first call of what it answers counts. */
  reserve(): (answer: T) => void {
    const place: { answer: { value: T } | undefined } = { answer: undefined };
    this.#waiting.push(place);
    return (value) => {
      if (place.answer !== undefined) return;
      place.answer = { value };
      this.#flush();
    };
  }

  #flush(): void {
    for (let next = this.#waiting[0]; next?.answer !== undefined; next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#send(next.answer.value);
    }
  }
}
