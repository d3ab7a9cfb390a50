/** The header of a dialog: its title, and a button that closes the dialog. */
export declare function dialogHeader(title: HTMLElement, testid?: string): HTMLElement;
